//! TLS as the program speaks it, against Python's and OpenSSL's: the hub behind a server that
//! neither this program nor its libraries wrote.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testkit::loopback::noise;

use crate::user::User;

/// Speaks TLS before each of the addresses that it is given; prints its own ports.
const BEFORE: &str = "\
import socket, ssl, sys, threading
def copy(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
def serve(listener, port):
    while True:
        raw, _ = listener.accept()
        def one(raw=raw):
            try: outer = context.wrap_socket(raw, server_side=True)
            except (OSError, ssl.SSLError): return
            inner = socket.create_connection(('127.0.0.1', port))
            threading.Thread(target=copy, args=(inner, outer), daemon=True).start()
            copy(outer, inner)
        threading.Thread(target=one, daemon=True).start()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('leaf.pem', 'leaf.key')
if sys.argv[1] == '1.2': context.maximum_version = ssl.TLSVersion.TLSv1_2
for port in sys.argv[2:]:
    listener = socket.create_server(('127.0.0.1', 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=serve, args=(listener, int(port)), daemon=True).start()
sys.stdin.read()
";

/// A server before others; it ends with this.
struct Before {
    child: Child,
    ports: Vec<String>,
}

impl Drop for Before {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn before(home: &Path, version: &str, urls: &[&str]) -> Option<Before> {
    let port = |url: &&str| url.rsplit(':').next().unwrap_or_default().to_owned();
    let mut command = Command::new("python3");
    command.args(["-c", BEFORE, version]).args(urls.iter().map(port)).current_dir(home);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let lines = BufReader::new(child.stdout.take()?).lines();
    let ports: Vec<String> = lines.take(urls.len()).map_while(Result::ok).collect();
    let all = ports.len() == urls.len();
    let before = Before { child, ports };
    all.then_some(before)
}

/// An authority and a certificate of it for localhost, in files; whether OpenSSL could make them.
fn certificates(home: &Path) -> bool {
    let request = |args: &str| {
        let fixed = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ";
        let mut command = Command::new("openssl");
        command.args(fixed.split_whitespace()).args(args.split_whitespace()).current_dir(home);
        command.output().is_ok_and(|output| output.status.success())
    };
    request("-subj /CN=authority -keyout ca.key -out ca.pem")
        && request(
            "-subj /CN=localhost -addext subjectAltName=DNS:localhost -addext \
             basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key -keyout leaf.key \
             -out leaf.pem",
        )
}

#[test]
fn a_hub_is_asked_over_tls_and_only_the_right_one() {
    if cfg!(target_os = "macos") {
        return eprintln!("SKIPPED: macOS trusts what its keychain does, and no file");
    }
    let user = User::new("tls");
    let weights = noise(12, (9 << 20) + 1);
    user.server.add("u/m", &[("m-Q4_K_M.gguf", &weights)]);
    let plain = user.server.storage();
    if !certificates(&user.home) {
        return eprintln!("SKIPPED: there is no openssl that makes certificates");
    }
    for version in ["1.2", "1.3"] {
        let Some(before) = before(&user.home, version, &[&user.server.url, &plain]) else {
            return eprintln!("SKIPPED: there is no python3");
        };
        let hub = format!("https://localhost:{}", before.ports[0]);
        let run = |hub: &str, authority: &str| {
            let mut command = user.command(env!("CARGO_BIN_EXE_russet"));
            command.args(["pull", "u/m"]).env("HF_ENDPOINT", hub);
            command.env("SSL_CERT_FILE", authority).env("NO_PROXY", "localhost,127.0.0.1");
            let output = command.output().expect("the program ends");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
            (output.status.success(), text(output.stdout), text(output.stderr))
        };
        user.server.set_storage(&format!("https://localhost:{}", before.ports[1]));
        let (done, path, said) = run(&hub, "ca.pem");
        assert!(done, "{version}: {said}");
        assert_eq!(fs::read(path.trim()).expect("a model"), weights);
        user.ok(&["rm", "u/m"]);

        user.server.asked();
        // Another authority's hub, and one that has another name.
        let (done, _, said) = run(&hub, "leaf.pem");
        assert!(!done && said.to_lowercase().contains("certificate"), "{said}");
        let (done, _, said) = run(&hub.replace("localhost", "127.0.0.1"), "ca.pem");
        assert!(!done && said.to_lowercase().contains("certificate"), "{said}");
        assert!(user.server.asked().is_empty(), "nothing is asked of whom nobody knows");
        // From TLS no redirect leads to where there is none.
        user.server.set_storage(&plain);
        let (done, _, said) = run(&hub, "ca.pem");
        assert!(!done && said.contains("without it"), "{said}");
    }
}
