//! `russet cp`: another name for a model.

use std::process::ExitCode;

use crate::download;
use crate::flags::HubArgs;

/// Give a model another name
///
/// No weights are copied. The new name is a name:tag and keeps what a Modelfile laid over the
/// model.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A model
    #[arg(value_name = "MODEL")]
    from: String,
    /// Its other name
    #[arg(value_name = "NAME")]
    to: String,
    #[command(flatten)]
    hub: HubArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let hub = args.hub.hub();
    download::found(&hub, &args.from)?;
    hub.copy(&args.from, &args.to)?;
    eprintln!("{} is {}", args.to, args.from);
    Ok(ExitCode::SUCCESS)
}
