//! `lakectl init`: a new project folder with the shipped files.

use std::path::Path;

use anyhow::Result;
use lakectl_pipeline::Project;

use super::Done;
use crate::args::{Format, Global};
use crate::render;

pub(crate) fn init(global: &Global, folder: &str) -> Result<Done> {
    let files = Project::write_new(Path::new(folder))?;
    if global.format == Format::Json {
        render::json(&serde_json::json!({ "folder": folder, "files": files }));
    } else {
        render::out(&format!(
            "wrote {} files to {folder}: pipelines/ (stages), sql/ (one query a table), configs/ (settings)\n\
             try next: cd {folder} && lakectl run --until forecast",
            files.len()
        ));
    }
    Ok(Done::Well)
}
