//! Option libraries of other languages, measured on the same quotes when they are installed beside.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// [sign, forward, strike, years, volatility, premium]; the sign is +1 for a call and -1 for a put.
pub type Quote = [f64; 6];

/// What a library takes for one quote, nanoseconds.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Name of the package.
    pub name: String,
    /// One implied volatility.
    pub iv_ns: f64,
    /// Price and greeks of one option.
    pub greeks_ns: f64,
    /// Which greeks these are.
    pub greeks: String,
}

/// Measures the libraries that the Python in `LAKE_BENCH_PYTHON` (default `python3`) can import.
pub fn measure(quotes: &[Quote]) -> Vec<Peer> {
    answers(quotes).unwrap_or_default()
}

fn answers(quotes: &[Quote]) -> Option<Vec<Peer>> {
    let text = ask("options.py", &serde_json::json!(quotes))?;
    Some(text.lines().filter_map(peer).collect())
}

/// What a script of `peers/` answers to a line of JSON, run by the Python in `LAKE_BENCH_PYTHON` (default
/// `python3`); `None` if there is no such Python.
pub fn ask(script: &str, input: &Value) -> Option<String> {
    let python = std::env::var("LAKE_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut child = Command::new(python)
        .arg(folder.join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // Dropped at the end of the statement, which is the end of the child's input. A Python without the
    // libraries stops listening before it has heard everything.
    let _ = writeln!(child.stdin.take()?, "{input}");
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()
}

fn peer(line: &str) -> Option<Peer> {
    let answer: Value = serde_json::from_str(line).ok()?;
    Some(Peer {
        name: answer["peer"].as_str()?.to_owned(),
        iv_ns: answer["iv_ns"].as_f64()?,
        greeks_ns: answer["greeks_ns"].as_f64()?,
        greeks: answer["greeks"].as_str()?.to_owned(),
    })
}

/// Prints how `ours_ns` compares with each library's `figure`, or that there is none.
#[allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
pub fn report(what: &str, ours_ns: f64, peers: &[Peer], figure: impl Fn(&Peer) -> (f64, &str)) {
    if peers.is_empty() {
        println!(
            "{what}: no peer (pip install QuantLib py_vollib_vectorized py_lets_be_rational==1.0.1)"
        );
    }
    for peer in peers {
        let (ns, does) = figure(peer);
        println!(
            "{what}: {ours_ns:.0} ns, {} ({does}): {ns:.0} ns, ratio {:.3}",
            peer.name,
            ours_ns / ns
        );
    }
}
