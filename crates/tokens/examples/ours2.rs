use std::io::Read;
fn main() {
    let mut s = String::new(); std::io::stdin().read_to_string(&mut s).unwrap();
    let v: serde_json::Value = serde_json::from_str(&s).unwrap();
    let t = tokens::Template::new(v["t"].as_str().unwrap());
    let out: Vec<serde_json::Value> = v["ins"].as_array().unwrap().iter().map(|i| {
        match t.as_ref().map_err(|e| e.to_string()).and_then(|t| t.render(i).map_err(|e| e.to_string())) {
            Ok(t) => serde_json::json!({"ok": t}), Err(e) => serde_json::json!({"err": e}) }
    }).collect();
    println!("{}", serde_json::to_string(&out).unwrap());
}
