//! `lakectl init`: a new project folder with the shipped files.

use std::path::Path;

use anyhow::Result;
use lakectl_pipeline::Project;

use super::Done;
use crate::args::{Format, Global};
use crate::context::program;
use crate::render;

pub(crate) fn init(global: &Global, folder: &str) -> Result<Done> {
    let files = Project::write_new(Path::new(folder))?;
    if global.format == Format::Json {
        render::json(&serde_json::json!({ "folder": folder, "files": files }));
    } else if !global.quiet {
        let enter = if folder == "." {
            String::new()
        } else {
            format!("cd {folder} && ")
        };
        render::out(&format!(
            "wrote {} files to {folder}: pipelines/ (stages), sql/ (one query a table), configs/ (settings)\n\
             try next: {enter}{} run --until forecast",
            files.len(),
            lakectl()?
        ));
    }
    Ok(Done::Well)
}

/// The program's name or path as it is good in the new folder, too.
fn lakectl() -> Result<String> {
    let name = program();
    Ok(if name.contains('/') {
        std::path::absolute(name)?.display().to_string()
    } else {
        name
    })
}
