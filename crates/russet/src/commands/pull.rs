//! `russet pull`: a model from its name to its files on this machine.

use std::io::Write as _;
use std::process::ExitCode;

use crate::download;
use crate::flags::HubArgs;

/// Download a model
///
/// Files go where the program that they belong to finds them: those of the hub into the Hugging
/// Face cache, those of ollama:// into Ollama's store. An interrupted download goes on where it
/// was; every file is verified before it gets its name. Of several quantizations the one that suits
/// this machine's memory is taken, and said why; user/repository:Q6_K names another. Prints where
/// the model is.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// name:tag, user/repository[:QUANT] or ollama://name[:tag]
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// Say what would be downloaded, and download nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    hub: HubArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let hub = args.hub.hub();
    let mut out = std::io::stdout().lock();
    for name in &args.models {
        let plan = download::plan(&hub, name)?;
        if args.dry_run {
            for file in &plan.files {
                let missing = file.bytes - file.have.min(file.bytes);
                writeln!(out, "{:>14} bytes, {missing:>14} missing  {}", file.bytes, file.name)?;
            }
            continue;
        }
        let found = download::pull(&hub, &plan)?;
        writeln!(out, "{}", download::path(&found).display())?;
    }
    Ok(ExitCode::SUCCESS)
}
