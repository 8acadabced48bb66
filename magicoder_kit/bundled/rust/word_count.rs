use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: word_count [-n COUNT] [-m LENGTH] [-i] [FILE]...";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    top: usize,
    min_length: usize,
    ignore_case: bool,
    paths: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options { top: 10, min_length: 1, ignore_case: false, paths: Vec::new() }
    }
}

impl Options {
    fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-n" => options.top = numeric_value("-n", args.next())?,
                "-m" => options.min_length = numeric_value("-m", args.next())?,
                "-i" => options.ignore_case = true,
                "--" => {
                    options.paths.extend(args);
                    break;
                }
                flag if flag.starts_with('-') && flag.len() > 1 => {
                    return Err(format!("unknown option {flag}\n{USAGE}"));
                }
                _ => options.paths.push(arg),
            }
        }
        Ok(options)
    }
}

fn numeric_value(flag: &str, value: Option<String>) -> Result<usize, String> {
    let value = value.ok_or_else(|| format!("{flag} needs a value\n{USAGE}"))?;
    value.parse().map_err(|_| format!("{flag}: {value:?} is not a whole number"))
}

#[derive(Debug, Default)]
struct Tally {
    lines: u64,
    words: u64,
    frequency: HashMap<String, u64>,
}

impl Tally {
    fn read_from(&mut self, input: impl BufRead, options: &Options) -> io::Result<()> {
        for line in input.lines() {
            let line = line?;
            self.lines += 1;
            for word in split_words(&line) {
                self.words += 1;
                if word.chars().count() < options.min_length {
                    continue;
                }
                let word = if options.ignore_case { word.to_lowercase() } else { word.to_owned() };
                *self.frequency.entry(word).or_insert(0) += 1;
            }
        }
        Ok(())
    }

    /// The most frequent words; words that occur equally often are listed alphabetically.
    fn ranking(&self, top: usize) -> Vec<(&str, u64)> {
        let mut ranked: Vec<_> = self.frequency.iter().map(|(w, &n)| (w.as_str(), n)).collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        ranked.truncate(top);
        ranked
    }
}

/// Splits on anything that cannot be part of a word, keeping inner apostrophes ("don't").
fn split_words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty())
}

fn run(options: &Options) -> Result<(), String> {
    let mut tally = Tally::default();
    if options.paths.is_empty() {
        tally.read_from(io::stdin().lock(), options).map_err(|e| format!("stdin: {e}"))?;
    }
    for path in &options.paths {
        // A lone dash names standard input, as most text tools do.
        let outcome = if path == "-" {
            tally.read_from(io::stdin().lock(), options)
        } else {
            File::open(path).and_then(|file| tally.read_from(BufReader::new(file), options))
        };
        outcome.map_err(|e| format!("{path}: {e}"))?;
    }
    print_report(&tally, options.top).map_err(|e| format!("stdout: {e}"))
}

fn print_report(tally: &Tally, top: usize) -> io::Result<()> {
    let ranking = tally.ranking(top);
    let width = ranking.iter().map(|(word, _)| word.chars().count()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for (word, count) in &ranking {
        let share = 100.0 * *count as f64 / tally.words as f64;
        writeln!(out, "{word:<width$}  {count:>7}  {share:>5.1}%")?;
    }
    writeln!(out, "{} words on {} lines", tally.words, tally.lines)
}

fn main() -> ExitCode {
    match Options::from_args(env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("word_count: {message}");
            ExitCode::FAILURE
        }
    }
}
