//! Lines that shaders repeat with other numbers are made from the rule above them: a subgroup's lane must be a constant
//! in WGSL, and an array indexed by a variable does not stay in registers, so that a loop would not do.
//!
//! ```text
//! // for r in 0..2:
//! //     sums[{r}] = fma(vec4f(a.{xyzw[r]}), b, sums[{r}]);
//! sums[0] = fma(vec4f(a.x), b, sums[0]);
//! sums[1] = fma(vec4f(a.y), b, sums[1]);
//! // end
//! ```
//!
//! In braces stand numbers, the counter and `+ * / %`, from left to right; `xyzw[…]` is one of the letters.

use std::fs;
use std::path::Path;

/// Set to anything, it lets the test write the files anew.
const WRITE: &str = "UNROLL";

/// A number from the words of an expression.
fn number(expression: &str, counter: &str, count: usize) -> Option<usize> {
    let term = |word: &str| if word == counter { Some(count) } else { word.parse().ok() };
    let mut words = expression.split_whitespace();
    let mut result = term(words.next()?)?;
    while let Some(operator) = words.next() {
        let other = term(words.next()?)?;
        result = match operator {
            "+" => result + other,
            "*" => result * other,
            "/" => result / other,
            "%" => result % other,
            _ => return None,
        };
    }
    Some(result)
}

/// What stands for `{expression}`.
fn value(expression: &str, counter: &str, count: usize) -> Option<String> {
    match expression.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
        Some((letters, place)) => letters.chars().nth(number(place, counter, count)?).map(String::from),
        None => number(expression, counter, count).map(|number| number.to_string()),
    }
}

/// A line of a rule where the counter is at `count`.
fn filled(line: &str, counter: &str, count: usize) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('{') {
        let (expression, behind) = behind.split_once('}').ok_or(format!("`{line}`: no end of braces"))?;
        text += before;
        text += &value(expression, counter, count).ok_or(format!("`{line}`: `{expression}` is no expression"))?;
        rest = behind;
    }
    Ok(text + rest)
}

/// The text with the lines below each rule as the rule says.
fn unrolled(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        // A rule, and not words of a comment.
        let rule = line.trim_start().strip_prefix("// for ").filter(|rule| rule.contains(".."));
        let Some(rule) = rule else { continue };
        let broken = || format!("`{}` is no rule", line.trim());
        let indent = &line[..line.len() - line.trim_start().len()];
        let (counter, range) = rule.strip_suffix(':').and_then(|rule| rule.split_once(" in ")).ok_or_else(broken)?;
        let (start, end) = range.split_once("..").ok_or_else(broken)?;
        let [start, end] = [start, end].map(|bound| bound.parse::<usize>());
        let counts = start.map_err(|_| broken())?..end.map_err(|_| broken())?;
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| line.trim_start().starts_with("//     ")) {
            out += &format!("{line}\n");
            body.push(line.trim_start().trim_start_matches("//     "));
        }
        for count in counts {
            for line in &body {
                out += &format!("{indent}{}\n", filled(line, counter, count)?);
            }
        }
        let end = lines.find(|line| line.trim() == "// end");
        out += &format!("{}\n", end.ok_or(format!("`{}` has no `// end`", line.trim()))?);
    }
    Ok(out)
}

#[test]
fn repeated_lines_are_those_of_the_rules_above_them() {
    let mut faults = Vec::new();
    let mut rules = 0;
    for folder in ["shaders", "shaders/lib"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_none_or(|extension| extension != "wgsl") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            rules += text.matches("// end").count();
            match unrolled(&text) {
                Ok(made) if made == text => {}
                Ok(made) if std::env::var_os(WRITE).is_some() => fs::write(&path, made).expect("a writable file"),
                Ok(made) => {
                    let place = text.lines().zip(made.lines()).position(|(old, new)| old != new);
                    let line = place.map_or(text.lines().count().min(made.lines().count()), |place| place) + 1;
                    faults.push(format!("{}:{line}: not what the rule above it makes", path.display()));
                }
                Err(error) => faults.push(format!("{}: {error}", path.display())),
            }
        }
    }
    assert!(
        faults.is_empty(),
        "\n{}\nhint: change the rule, not the lines; `{WRITE}=1 cargo test --test contract repeated_lines` writes them",
        faults.join("\n")
    );
    assert!(rules > 15, "only {rules} rules found");
}

#[test]
fn rules_are_read() {
    let rule = "    // for r in 1..3:\n    //     b[{r}] = c.{xyzw[r % 2]}{2 * r + 1};\n    //     d{r};\n";
    let made = unrolled(&format!("a\n{rule}    old\n    // end\ne\n")).unwrap();
    assert_eq!(made, format!("a\n{rule}    b[1] = c.y3;\n    d1;\n    b[2] = c.x5;\n    d2;\n    // end\ne\n"));
    assert_eq!(unrolled(&made).unwrap(), made, "once more");
    for broken in [
        "// for r in 0..2:\n//     {r}\n",
        "// for r in 0..2:\n//     {q}\n// end\n",
        "// for r in 0..2:\n//     {r\n// end\n",
        "// for r in 0..x:\n//     {r}\n// end\n",
        "// for r in 0..2\n//     {r}\n// end\n",
        "// for r in 0..9:\n//     {xyzw[r]}\n// end\n",
    ] {
        assert!(unrolled(broken).is_err(), "{broken}");
    }
}
