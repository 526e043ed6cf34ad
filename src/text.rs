//! Words from outside (names of files, classes, identities) as a part of a line, and digests as words.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Whether a character would end a line or a cell, speak to a terminal, or turn the order of what stands around it.
fn is_control(c: char) -> bool {
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || ends_line || turns
}

/// `text` on one line, in one cell, without a word to the terminal: control characters are escaped as in Rust, `\n`,
/// `\t`, `\u{1b}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let escaped = |c: char| if is_control(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// `text` without the passwords of the URLs of databases in it: `postgres://ann:secret@host` is `postgres://ann@host`.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !SCHEMES.iter().any(|scheme| text.contains(scheme)) {
        return text.into();
    }
    let mut cleared = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        let scheme = SCHEMES.iter().filter_map(|scheme| Some(word.find(scheme)? + scheme.len())).min();
        let (before, mut url) = word.split_at(scheme.unwrap_or(word.len()));
        cleared.push_str(before);
        // A password that was not written as it should may hold anything.
        if let Some((user, behind)) = url.rsplit_once('@') {
            cleared.push_str(&user[..user.find(':').unwrap_or(user.len())]);
            cleared.push('@');
            url = behind;
        }
        for part in url.split_inclusive(['?', '&']) {
            cleared.push_str(part.strip_prefix(PASSWORD).map_or(part, |_| "password=…&"));
        }
    }
    cleared.into()
}

/// How the URLs of databases begin.
pub(crate) const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// How the part of a URL begins that is a password.
const PASSWORD: &str = "password=";

/// Bytes as hexadecimal digits, two for each.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name in the composed form of Unicode (NFC), so that names that look the same are the same: macOS writes the é of a
/// folder as e and an accent.
pub fn composed(name: &str) -> Cow<'_, str> {
    if is_nfc(name) { name.into() } else { name.nfc().collect::<String>().into() }
}
