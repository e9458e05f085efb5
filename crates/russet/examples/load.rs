//! Opens a model and says what it is: `cargo run --example load -- model.gguf`.

fn main() -> Result<(), russet::Error> {
    let name = std::env::args().nth(1).unwrap_or(russet::BUILTIN.to_owned());
    let model = russet::Model::open(name, &russet::Options::default())?;
    println!("{}, a {} model", model.title(), model.spec().family);
    println!("{} parameters in {} layers", model.spec().parameters(), model.spec().layers.len());
    println!("{} tokens of context on {} threads", model.context(), model.runtime().threads());
    Ok(())
}
