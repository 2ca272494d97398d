//! The events of a run in a file, one JSON object a line.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use lakectl_core::UtcTime;
use lakectl_pipeline::PipelineError;
use lakectl_pipeline::engine::RunEvent;
use serde_json::{Map, Value};

use crate::render;

/// A file that takes events. Every line is handed to the system as a whole, so whatever is there can be read.
pub(crate) struct EventFile {
    run: String,
    path: String,
    /// `None` once a line could not be written.
    file: Mutex<Option<File>>,
}

impl EventFile {
    /// Makes the file anew.
    pub(crate) fn create(path: &str, run: &str) -> Result<Self> {
        if path == "-" {
            let hint = "name a file; standard output has the result";
            return Err(PipelineError::usage("`--events -` is not possible", hint).into());
        }
        let file = File::create(Path::new(path))
            .with_context(|| format!("cannot write the events to `{path}`"))?;
        Ok(Self {
            run: run.to_owned(),
            path: path.to_owned(),
            file: Mutex::new(Some(file)),
        })
    }

    /// Writes an event of the engine.
    pub(crate) fn event(&self, time: UtcTime, event: &RunEvent) {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(event) else {
            return;
        };
        let Some(Value::String(name)) = fields.shift_remove("event") else {
            return;
        };
        let reason = match event {
            RunEvent::Started { reason, .. } | RunEvent::Blocked { reason, .. } => Some(reason),
            _ => None,
        };
        if let Some(reason) = reason {
            // The words for people, and the parts for programs.
            let parts = fields.insert("reason".to_owned(), reason.to_string().into());
            fields.insert("because".to_owned(), parts.unwrap_or_default());
        }
        self.line(time, &name, fields);
    }

    /// Writes an event of the command.
    pub(crate) fn line(&self, time: UtcTime, name: &str, fields: Map<String, Value>) {
        let mut line = Map::new();
        line.insert("time".to_owned(), time.to_string().into());
        line.insert("run".to_owned(), self.run.clone().into());
        line.insert("event".to_owned(), name.into());
        line.extend(fields);
        let text = format!("{}\n", Value::Object(line));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Err(error)) = file.as_mut().map(|file| file.write_all(text.as_bytes())) else {
            return;
        };
        *file = None;
        render::alarm(&format!(
            "the events end here: cannot write to `{}`: {error}",
            self.path
        ));
    }
}
