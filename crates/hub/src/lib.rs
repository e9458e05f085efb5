//! Which files a model's name means: those on this machine, in whichever program's store they lie,
//! and those one download away.
//!
//! [`Hub::find`] looks on this machine and opens no socket; [`Hub::plan`] asks a server what there
//! is to download, [`Hub::pull`] downloads it, [`Hub::headers`] its beginnings alone. Every store
//! is read in place and written as the program that it belongs to would write it, so that files are
//! shared. Nothing here opens a model, and the environment is not known here: see [`Places`].
#![forbid(unsafe_code)]

mod cache;
pub mod catalogue;
mod choose;
mod client;
mod digest;
mod error;
mod headers;
mod limits;
mod listing;
mod local;
mod modelfile;
mod name;
mod ollama;
mod own;
mod partial;
mod places;
mod pull;
mod recipe;
mod remove;
mod stores;
mod tidy;
mod transfer;
mod variants;

pub use choose::{fits, needed_bytes};
pub use client::{Event, Listener};
pub use digest::Digest;
pub use error::HubError;
pub use headers::Headers;
pub use local::{At, Found};
pub use modelfile::Modelfile;
pub use name::{HubName, Name, OllamaName, Short, is_meant_as_model};
pub use own::Record;
pub use places::Places;
pub use pull::{Pull, PullFile};
pub use recipe::{Adapter, Recipe};
pub use remove::Removed;
pub use stores::{Model, StoreKind};
pub use tidy::{Garbage, Kept};

/// The name of the model that comes with the program.
pub const BUILTIN: &str = "russet-guide";

/// The models of this machine and those that can be had.
pub struct Hub {
    places: Places,
    client: client::Client,
}

impl Hub {
    /// Those of these places. Nothing is opened yet.
    pub fn new(places: Places) -> Hub {
        let client = client::Client::new(places.offline);
        Hub { places, client }
    }

    /// The places that it looks at.
    pub fn places(&self) -> &Places {
        &self.places
    }

    fn own(&self) -> own::Own<'_> {
        own::Own(&self.places.own)
    }
}

#[cfg(test)]
mod tests;
