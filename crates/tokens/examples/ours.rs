use std::io::Read;
fn main() {
    let mut s = String::new(); std::io::stdin().read_to_string(&mut s).unwrap();
    let v: serde_json::Value = serde_json::from_str(&s).unwrap();
    let out: Vec<serde_json::Value> = v["snips"].as_array().unwrap().iter().map(|t| {
        match tokens::Template::new(t.as_str().unwrap()).and_then(|t| t.render(&v["inputs"])) {
            Ok(t) => serde_json::json!({"ok": t}), Err(e) => serde_json::json!({"err": e.to_string()}) }
    }).collect();
    println!("{}", serde_json::to_string(&out).unwrap());
}
