//! Rules of the source tree that the compiler does not hold: who may use whom, what the library leaves to the program,
//! how files begin, how long lines are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules from the bottom up. One may use its own rung and those below.
const LADDER: &[&[&str]] = &[
    &[
        "kernel", "host", "error", "text", "settings", "names", "output", "memory", "data", "sampler", "init", "graph",
        "crew",
    ],
    &["kernels"],
    &["plan"],
    &["layers", "losses", "run"],
    &["net", "siamese", "config", "head", "feed"],
    &["cpu", "gpu"],
    &[
        "session",
        "train",
        "eval",
        "embed",
        "gallery",
        "figures",
        "checkpoint",
        "import",
        "onnx",
        "torch",
        "vectors",
        "cluster",
        "tensorboard",
        "check",
        "audit",
        "bulk",
        "web",
    ],
    &["main", "cli", "report", "serve", "outcome"],
];

/// Modules of the program, which may print, exit and read the environment.
const PROGRAM: &[&str] = &["main", "cli", "report", "serve", "outcome"];

const COLUMNS: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A source file: its path from the crate's root, its text, and the text with comments and literals blanked.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn at(&self, place: usize) -> String {
        format!("{}:{}", self.path, 1 + self.code[..place].matches('\n').count())
    }

    /// Where a path or macro stands in the code as a word of its own.
    fn finds<'a>(&'a self, word: &'a str) -> impl Iterator<Item = String> {
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let places = self.code.match_indices(word).map(|(place, _)| place).filter(move |&place| {
            let (before, after) = (&self.code[..place], &self.code[place + word.len()..]);
            let longer = before.ends_with(inside) || (word.ends_with(inside) && after.starts_with(inside));
            !longer
        });
        places.map(|place| self.at(place))
    }

    /// Module of a file of `src/`: `gpu` for `src/gpu/probe.rs`.
    fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").expect("a file of src");
        path.split(['/', '.']).next().expect("a name")
    }
}

/// Rust code with what stands in comments, strings and characters turned into blanks, line breaks kept.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut last = ' ';
    while let Some(first) = rest.chars().next() {
        // Bytes that are not code, and how many of them on both sides are kept.
        let (skipped, kept) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), 0)
        } else if rest.starts_with("/*") {
            (block_comment(rest), 0)
        } else if let Some(raw) = raw_string(rest).filter(|_| !(last.is_alphanumeric() || last == '_')) {
            (raw, 0)
        } else if first == '"' {
            (quoted(rest, '"'), 1)
        } else if first == '\'' && is_character(rest) {
            (quoted(rest, '\''), 1)
        } else {
            (0, 0)
        };
        if skipped == 0 {
            code.push(first);
            last = first;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        for (place, c) in rest[..skipped].char_indices() {
            let edge = place < kept || place + kept >= skipped;
            code.push(if c == '\n' || edge { c } else { ' ' });
        }
        last = ' ';
        rest = &rest[skipped..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut place = 0;
    while place < text.len() {
        let step = &text[place..];
        if step.starts_with("/*") {
            depth += 1;
            place += 2;
        } else if step.starts_with("*/") {
            depth -= 1;
            place += 2;
        } else {
            place += step.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return place;
        }
    }
    text.len()
}

/// Length of `r"…"`, `r#"…"#`, with or without `b`, if the text begins with one.
fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = start.len() - start.trim_start_matches('#').len();
    let body = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&end)? + end.len())
}

/// Length of a literal from one quote to the next that no backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return place + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// Whether a single quote begins a character and not a lifetime.
fn is_character(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    after.next() == Some('\\') || after.next() == Some('\'')
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, expected) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("a \"b // c\" d", "a \"      \" d"),
        (r#"a "\"b" c"#, r#"a "   " c"#),
        ("a r#\"b \" c\"# d", "a            d"),
        ("fn f<'a>(x: &'a str) {} // 'b", "fn f<'a>(x: &'a str) {}      "),
        ("'\"' b \"c\"", "' ' b \" \""),
        ("'\\'' b", "'  ' b"),
        ("\"é\" b", "\" \" b"),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
    let source =
        Source { path: "src/x.rs".to_owned(), text: String::new(), code: "eprint!(); a\nmy_dbg!()".to_owned() };
    assert_eq!(source.finds("print!").count() + source.finds("dbg!").count(), 0, "parts of longer names");
    assert_eq!(source.finds("eprint!").collect::<Vec<_>>(), ["src/x.rs:1"]);
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
}

fn sources(folders: &[&str], extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| collect(&root().join(folder), extension, &mut paths));
    paths.sort();
    assert!(!paths.is_empty(), "no .{extension} file in {folders:?}");
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let path = path.strip_prefix(root()).expect("under the root").to_string_lossy().replace('\\', "/");
            let code = code(&text);
            Source { path, text, code }
        })
        .collect()
}

fn library() -> Vec<Source> {
    let mut sources = sources(&["src"], "rs");
    sources.retain(|source| !PROGRAM.contains(&source.module()));
    sources
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn identifier(text: &str) -> &str {
    &text[..text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())]
}

/// First names of what `use` lists after `crate::`, where each stands: one path, or several in braces.
fn names(code: &str, place: usize) -> Vec<(usize, &str)> {
    if !code[place..].starts_with('{') {
        return vec![(place, identifier(&code[place..]))];
    }
    let mut depth = 0;
    let mut names = Vec::new();
    let mut fresh = false;
    for (offset, c) in code[place..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == '{' || c == ',') {
            fresh = true;
        } else if fresh && !c.is_whitespace() {
            names.push((place + offset, identifier(&code[place + offset..])));
            fresh = false;
        }
    }
    names
}

/// Modules that a file uses, and where.
fn uses(source: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // In a file beside lib.rs `super` is the crate, unless it stands in a module of tests.
    let root_by_super = source.path.matches('/').count() == 1;
    let prefixes = ["crate::", "siamese::", if root_by_super { "super::" } else { "super::super::" }];
    for prefix in prefixes {
        for (start, _) in source.code.match_indices(prefix) {
            let before = &source.code[..start];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            for (place, name) in names(&source.code, start + prefix.len()) {
                let module = match name {
                    "Error" | "Result" if prefix != "super::" => "error",
                    name if name.starts_with(char::is_lowercase) => name,
                    _ => continue,
                };
                let known = LADDER.iter().any(|rung| rung.contains(&module));
                if known || prefix == "crate::" {
                    found.push((module.to_owned(), source.at(place)));
                }
            }
        }
    }
    found
}

fn rung(module: &str) -> Option<usize> {
    LADDER.iter().position(|rung| rung.contains(&module))
}

#[test]
fn use_lines_are_read() {
    let text = "use crate::{error::Result, plan::{Plan, net}, kernel};\nuse crate::Error;\nfn f(x: &crate::gpu::D) {}\n\
                // crate::cli\nuse super::eval::K;\nuse std::crate_::x;";
    let source = Source { path: "src/net.rs".to_owned(), text: String::new(), code: code(text) };
    let modules: Vec<_> = uses(&source).into_iter().map(|(module, _)| module).collect();
    assert_eq!(modules, ["error", "plan", "kernel", "error", "gpu", "eval"]);
    assert_eq!(source.module(), "net");
}

#[test]
fn modules_use_their_own_rung_and_lower_ones() {
    let mut faults = Vec::new();
    for source in sources(&["src"], "rs") {
        let own = source.module();
        if own == "lib" {
            continue;
        }
        let Some(own_rung) = rung(own) else {
            faults.push(format!("{}: `{own}` is not on the ladder", source.path));
            continue;
        };
        for (module, place) in uses(&source) {
            match rung(&module) {
                Some(rung) if rung <= own_rung => {}
                Some(_) => faults.push(format!("{place}: `{own}` uses `{module}`, which is above it")),
                None => faults.push(format!("{place}: `{module}` is not on the ladder")),
            }
        }
    }
    none(faults);
}

#[test]
fn modules_do_not_use_each_other_in_a_circle() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources(&["src"], "rs") {
        let own = source.module().to_owned();
        for (module, _) in uses(&source) {
            if module != own {
                graph.entry(own.clone()).or_default().insert(module);
            }
        }
    }
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 30, "only {edges} uses found: the reading is broken");
    // Take away what uses nothing that is left, until nothing is taken.
    while let Some(free) = graph.iter().find(|(_, uses)| uses.iter().all(|name| !graph.contains_key(name))) {
        let free = free.0.clone();
        graph.remove(&free);
    }
    assert!(graph.is_empty(), "in a circle, or above one: {graph:?}");
}

#[test]
fn only_gpu_names_wgpu() {
    let others = sources(&["src"], "rs").into_iter().filter(|source| source.module() != "gpu");
    none(others.flat_map(|source| source.finds("wgpu").collect::<Vec<_>>()).collect());
    assert!(sources(&["src/gpu"], "rs").iter().any(|source| source.finds("wgpu").count() > 0), "gpu names wgpu");
}

#[test]
fn the_library_does_not_print_exit_or_read_the_environment() {
    let forbidden = [
        "println!",
        "eprintln!",
        "print!",
        "eprint!",
        "dbg!",
        "io::stdout",
        "io::stderr",
        "io::stdin",
        "stdout()",
        "stderr()",
        "process::exit",
        "process::abort",
        "std::env",
        "env::var",
        "env::args",
    ];
    let mut faults = Vec::new();
    for source in library() {
        for word in forbidden {
            faults.extend(source.finds(word).map(|place| format!("{place}: {word}")));
        }
    }
    none(faults);
}

/// These macros panic where nobody reads any more: words go through `say!`, results through `writeln!`.
#[test]
fn no_words_are_said_that_can_panic() {
    let mut faults = Vec::new();
    for source in sources(&["src"], "rs") {
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            faults.extend(source.finds(word).map(|place| format!("{place}: {word}")));
        }
    }
    none(faults);
}

#[test]
fn nothing_is_left_for_later() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests", "benches"], "rs") {
        for word in ["todo!", "unimplemented!", "#[ignore]", "#![allow(dead_code)]", "#[allow(dead_code)]"] {
            faults.extend(source.code.match_indices(word).map(|(place, _)| format!("{}: {word}", source.at(place))));
        }
    }
    none(faults);
}

#[test]
fn files_begin_with_what_they_are_for() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests", "benches"], "rs") {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: does not begin with `//! `", source.path));
        }
    }
    for source in sources(&["shaders"], "wgsl") {
        if !source.text.starts_with("// ") {
            faults.push(format!("{}: does not begin with `// `", source.path));
        }
    }
    none(faults);
}

#[test]
fn shaders_have_no_atomics() {
    let mut faults = Vec::new();
    for source in sources(&["shaders"], "wgsl") {
        faults.extend(source.finds("atomic<"));
    }
    none(faults);
}

#[test]
fn lines_fit() {
    let mut faults = Vec::new();
    let mut all = sources(&["src", "tests", "benches"], "rs");
    all.extend(sources(&["shaders"], "wgsl"));
    all.extend(sources(&["src"], "js"));
    for source in all {
        for (number, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}", source.path, number + 1);
            // All shaders have the same signature, and it reads better on one line.
            let signature = source.path.ends_with(".wgsl") && line.starts_with("fn main(");
            let columns = line.chars().count();
            if columns > COLUMNS && !signature {
                faults.push(format!("{place}: {columns} columns, {COLUMNS} are the most"));
            }
            if line.ends_with([' ', '\t', '\r']) {
                faults.push(format!("{place}: white space at the end"));
            }
        }
        if !source.text.ends_with('\n') {
            faults.push(format!("{}: no line break at the end", source.path));
        }
    }
    none(faults);
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let output = Command::new("git").arg("ls-files").current_dir(root()).output().expect("git runs");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("UTF-8 names");
    let mut faults = Vec::new();
    let mut read = 0;
    for path in listed.lines().filter(|path| !path.starts_with("data/") && *path != "Cargo.lock") {
        // Binary files, and files that are deleted but not yet committed, hold no text.
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        read += 1;
        for (number, line) in text.lines().enumerate() {
            // Put together here, so that this file does not name them.
            for folder in ["tmp", "work", "root", "home"] {
                let place = format!("/{folder}/");
                let found = line.match_indices(&place).any(|(start, _)| {
                    // Part of a longer path or of an address is something else.
                    !line[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
                });
                if found {
                    faults.push(format!("{path}:{}: {place}", number + 1));
                }
            }
        }
    }
    assert!(read > 50, "only {read} files read");
    none(faults);
}
