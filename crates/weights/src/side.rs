//! The files beside the weights in a Hugging Face directory.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::WeightError;

/// Where a directory's other files are; a file that is not there is `None`.
#[derive(Clone, Debug, Default)]
pub struct SideFiles {
    /// `config.json`, which may name the tokens that end a text.
    pub config: Option<PathBuf>,
    /// `tokenizer.json`.
    pub tokenizer_json: Option<PathBuf>,
    /// SentencePiece's `tokenizer.model`.
    pub tokenizer_model: Option<PathBuf>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<PathBuf>,
    /// `chat_template.jinja`.
    pub chat_template: Option<PathBuf>,
    /// Templates of other names: the files of `additional_chat_templates`, by name.
    pub more_templates: Vec<(String, PathBuf)>,
    /// `generation_config.json`.
    pub generation_config: Option<PathBuf>,
}

/// Longer than any tokenizer; a longer file is something else.
const SIDE_BYTES_MAX: u64 = 256 << 20;
const TEMPLATES_MAX: usize = 64;

impl SideFiles {
    /// Looks into a directory.
    pub fn find(dir: &Path) -> SideFiles {
        let file = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
        SideFiles {
            config: file("config.json"),
            tokenizer_json: file("tokenizer.json"),
            tokenizer_model: file("tokenizer.model"),
            tokenizer_config: file("tokenizer_config.json"),
            chat_template: file("chat_template.jinja"),
            more_templates: templates(&dir.join("additional_chat_templates")),
            generation_config: file("generation_config.json"),
        }
    }

    /// Reads such a file whole.
    ///
    /// # Errors
    /// Where it cannot be read or is too long to be what its name says.
    pub fn read(path: &Path) -> Result<Vec<u8>, WeightError> {
        read_bounded(path, SIDE_BYTES_MAX)
    }
}

/// The bytes of a file of at most `max` bytes.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, WeightError> {
    let io = |source| WeightError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > max {
        let what = format!("the file is longer than {max} bytes, which no such file is");
        return Err(WeightError::damaged(&path.display().to_string(), what));
    }
    Ok(bytes)
}

fn templates(dir: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let named = |path: PathBuf| {
        let is_template = path.extension().is_some_and(|end| end == "jinja");
        let name = path.file_stem()?.to_str()?.to_owned();
        is_template.then_some((name, path))
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> = paths.filter_map(named).take(TEMPLATES_MAX).collect();
    found.sort();
    found
}
