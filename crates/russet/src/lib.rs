//! Runs large language models on the machine in front of you.
//!
//! ```no_run
//! let mut model = russet::Model::open("model.gguf", &russet::Options::default())?;
//! let answer = model.generate("Once upon a time", &russet::Params::default())?;
//! println!("{}", answer.text);
//! # Ok::<(), russet::Error>(())
//! ```
//!
//! A [`Model`] is opened from a GGUF file or a directory, or is the one that comes with the
//! library ([`BUILTIN`]). [`Model::generate`] and [`Model::stream`] go on with a text,
//! [`Model::chat`] answers a [`Conversation`]. Models of a process share one [`Runtime`].
#![forbid(unsafe_code)]

mod builtin;
mod error;
mod model;
mod runtime;
mod sampling;

// The program's own, public only for it.
#[doc(hidden)]
pub mod machine;
#[doc(hidden)]
pub mod places;
#[doc(hidden)]
pub mod vocab;

pub use builtin::builtin;
pub use chat::{Conversation, Finish, Finished, Hooks, Job, Stops, TemplateSource, Timings};
pub use cpu::Isa;
pub use engine::{Dry, Mirostat, Sampling, Usage, Xtc};
pub use error::Error;
pub use hub::{BUILTIN, Found, Recipe};
pub use model::{Model, Opened, Options, Params, laid_over, unread_template};
pub use ops::{Form, KvKind};
pub use runtime::{BackendKind, Resources, Runtime};
pub use sampling::{Defaults, Origin};
