//! Options whose value is a text of words and settings, such as `multi-similarity beta=40`, `shift=2 rotate=10` or
//! `conv1-8 *.bias rate=0.1`: how it is read, and what is said where it cannot be.

use std::fmt;

use crate::error::{Error, Result};

/// What a number may be; always a finite one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Above 0.
    Positive,
    /// 0 or above.
    NotNegative,
    /// From one number to another.
    Within(f32, f32),
    /// Above one number and below another.
    Between(f32, f32),
    /// From 0 to below 1.
    Share,
}

impl Range {
    fn holds(self, value: f32) -> bool {
        value.is_finite()
            && match self {
                Range::Positive => value > 0.0,
                Range::NotNegative => value >= 0.0,
                Range::Within(low, high) => (low..=high).contains(&value),
                Range::Between(low, high) => low < value && value < high,
                Range::Share => (0.0..1.0).contains(&value),
            }
    }

    /// Checks the value of an option.
    ///
    /// # Errors
    /// [`Error::Config`] with the option, the value and the range.
    pub fn check(self, option: &str, value: f32) -> Result<()> {
        if self.holds(value) { Ok(()) } else { Err(Error::config(option, format!("{value} is not {self}"))) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Range::Positive => f.write_str("a positive number"),
            Range::NotNegative => f.write_str("0 or a positive number"),
            Range::Within(low, high) => write!(f, "from {low} to {high}"),
            Range::Between(low, high) => write!(f, "between {low} and {high}"),
            Range::Share => f.write_str("from 0 to below 1"),
        }
    }
}

/// A number that a text may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it is where nothing is said.
    pub default: f32,
    /// What it may be.
    pub range: Range,
    /// What it does, in a few words.
    pub about: &'static str,
}

/// Checks values of settings, in their order.
///
/// # Errors
/// [`Error::Config`] with the option, the first setting that is out of its range, its value and the range.
pub fn check(option: &str, known: &[Setting], values: impl IntoIterator<Item = f32>) -> Result<()> {
    match known.iter().zip(values).find(|(setting, value)| !setting.range.holds(*value)) {
        None => Ok(()),
        Some((Setting { name, range, .. }, value)) => {
            Err(Error::config(option, format!("{name}={value} is not {range}")))
        }
    }
}

/// The value of an option, divided.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    option: &'static str,
    /// Its words, in order.
    pub words: Vec<&'a str>,
    /// Its settings as they stand there, such as `rate=0.1`.
    settings: Vec<(&'a str, &'a str, &'a str)>,
}

impl<'a> Text<'a> {
    /// Divides the value of an option at white space: what has a `=` is a setting, all else a word.
    pub fn new(option: &'static str, text: &'a str) -> Text<'a> {
        let mut divided = Text { option, words: vec![], settings: vec![] };
        for part in text.split_whitespace() {
            match part.split_once('=') {
                Some((name, value)) => divided.settings.push((part, name, value)),
                None => divided.words.push(part),
            }
        }
        divided
    }

    /// An [`Error::Config`] that says what is wrong with a word or setting of it, and what may stand there.
    pub fn fault(&self, part: &str, reason: impl fmt::Display) -> Error {
        Error::config(self.option, format!("`{part}`: {reason}"))
    }

    /// Its word, where it is to have no other.
    ///
    /// # Errors
    /// [`Error::Config`] with the second word.
    pub fn word(&self) -> Result<Option<&'a str>> {
        match self.words.get(1) {
            None => Ok(self.words.first().copied()),
            Some(second) => Err(self.fault(second, "a setting is a name and a number, such as scale=0.2")),
        }
    }

    /// Its settings, of those that `what` has. Whether they are in their ranges is another question, see [`check`].
    ///
    /// # Errors
    /// [`Error::Config`] with the setting that `what` does not have, that is no number, or that is there twice.
    pub fn settings(&self, what: &str, known: &[Setting]) -> Result<Settings> {
        let mut settings = Settings::defaults(known);
        for &(part, name, value) in &self.settings {
            let Some((setting, own)) = known.iter().zip(&mut settings.0).find(|(setting, _)| setting.name == name)
            else {
                let names: Vec<_> = known.iter().map(|setting| setting.name).collect();
                return Err(self.fault(part, format!("{what} has no setting `{name}`; it has {}", names.join(", "))));
            };
            let Ok(value) = value.parse() else {
                let Setting { range, default, .. } = setting;
                return Err(self.fault(part, format!("`{value}` is no number; {name} is {range}, such as {default}")));
            };
            if own.given.replace(value).is_some() {
                return Err(self.fault(part, format!("{name} is set twice")));
            }
        }
        Ok(settings)
    }
}

/// Values of settings: as they were given, or else their defaults.
#[derive(Clone, Debug)]
pub struct Settings(Vec<Value>);

#[derive(Clone, Copy, Debug)]
struct Value {
    name: &'static str,
    default: f32,
    given: Option<f32>,
}

impl Settings {
    /// Nothing is given.
    pub fn defaults(known: &[Setting]) -> Settings {
        let value = |setting: &Setting| Value { name: setting.name, default: setting.default, given: None };
        Settings(known.iter().map(value).collect())
    }

    /// What was given for the setting of this name. Panics where there is none of this name.
    pub fn given(&self, name: &str) -> Option<f32> {
        self.find(name).given
    }

    /// Its value. Panics where there is none of this name.
    pub fn get(&self, name: &str) -> f32 {
        let Value { default, given, .. } = self.find(name);
        given.unwrap_or(default)
    }

    fn find(&self, name: &str) -> Value {
        let found = self.0.iter().find(|value| value.name == name);
        *found.unwrap_or_else(|| panic!("there is no setting `{name}`"))
    }
}
