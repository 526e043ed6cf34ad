//! Settings in a file: `--config run.toml` holds options by their long names, and the command line wins over it.
//!
//! ```toml
//! preset = "cnn"
//! augment = "elastic"
//! ema = 0.999
//! threshold = [0.5, 1.0]
//! ```

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, ValueHint};
use siamese::{Error, Result};
use toml::{Table, Value};

/// The option that names the file.
const CONFIG: &str = "config";
/// Options about one call of the program rather than the run that it makes: in no file.
const CALL: [&str; 7] = [CONFIG, "out", "resume", "json", "tui", "help", "version"];

/// `arguments` with the settings of the file that they name added, but for those that they give or exclude themselves.
///
/// # Errors
/// [`Error::Config`] naming file and setting where a setting does not exist or has no value that an option can have;
/// [`Error::Io`] for a file that cannot be read.
pub fn merge(command: &Command, mut arguments: Vec<OsString>) -> Result<Vec<OsString>> {
    // What is missing or too much may be put right by the file.
    let given = command.clone().ignore_errors(true).try_get_matches_from(&arguments);
    let Some((name, given)) = given.as_ref().ok().and_then(ArgMatches::subcommand) else { return Ok(arguments) };
    let command = command.find_subcommand(name).expect("clap has found it");
    if !command.get_arguments().any(|option| option.get_id() == CONFIG) {
        return Ok(arguments);
    }
    let Some(file) = given.get_one::<std::path::PathBuf>(CONFIG) else { return Ok(arguments) };
    let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
    let settings: Table =
        text.parse().map_err(|error| Error::config(file.display().to_string(), format!("{error}")))?;
    let by_hand = |option: &Arg| given.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
    for (key, value) in settings {
        let option = find(command, file, &key)?;
        let excluded = command.get_arguments().any(|other| by_hand(other) && exclude(command, option, other));
        if !by_hand(option) && !excluded {
            arguments.extend(words(option, &value).map_err(|reason| fault(file, &key, reason))?);
        }
    }
    Ok(arguments)
}

/// Whether two options cannot both be given.
fn exclude(command: &Command, a: &Arg, b: &Arg) -> bool {
    let names = |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|other| other.get_id() == b.get_id());
    let share = |group: &ArgGroup| {
        let members: Vec<_> = group.get_args().collect();
        !group.clone().is_multiple() && members.contains(&a.get_id()) && members.contains(&b.get_id())
    };
    names(a, b) || names(b, a) || command.get_groups().any(share)
}

fn fault(file: &Path, key: &str, reason: impl Into<String>) -> Error {
    Error::config(format!("{}: {key}", file.display()), reason)
}

/// The option that a key of the file names.
fn find<'a>(command: &'a Command, file: &Path, key: &str) -> Result<&'a Arg> {
    let options = || command.get_opts().chain(command.get_arguments().filter(|option| is_switch(option)));
    if let Some(option) = options().find(|option| option.get_long() == Some(key)) {
        return match CALL.contains(&key) {
            false => Ok(option),
            true => Err(fault(file, key, "it is about one call of the program, and stands on the command line alone")),
        };
    }
    let likeness = |name: &&str| name.chars().zip(key.chars()).take_while(|(a, b)| a == b).count();
    let known = options().filter_map(Arg::get_long).filter(|name| !CALL.contains(name));
    let nearest = known.max_by_key(likeness).filter(|name| likeness(name) > 0);
    let nearest = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(fault(file, key, format!("`siamese {}` has no such setting{nearest}", command.get_name())))
}

fn is_switch(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

/// A setting as arguments.
fn words(option: &Arg, value: &Value) -> Result<Vec<OsString>, String> {
    let name = option.get_long().expect("an option of a long name");
    let word = |value: &Value| match value {
        Value::String(text) => Ok(format!("--{name}={text}").into()),
        Value::Integer(number) => Ok(format!("--{name}={number}").into()),
        Value::Float(number) => Ok(format!("--{name}={number}").into()),
        other => Err(format!("a {} cannot be its value", other.type_str())),
    };
    match value {
        Value::Boolean(false) if is_switch(option) => Ok(Vec::new()),
        Value::Boolean(true) if is_switch(option) => Ok(vec![format!("--{name}").into()]),
        _ if is_switch(option) => Err("true or false is expected".to_owned()),
        Value::Array(values) => values.iter().map(word).collect(),
        value => Ok(vec![word(value)?]),
    }
}

/// The settings that a call has been given, by hand or from a file, as the text of such a file.
pub fn text(command: &Command, given: &ArgMatches) -> String {
    let mut text = String::from("# The settings of this run; those that are not here are the preset's.\n");
    for option in command.get_arguments() {
        let (id, Some(name)) = (option.get_id().as_str(), option.get_long()) else { continue };
        if CALL.contains(&name) || given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        // From wherever the file is taken, its paths lead to the same place.
        let is_path = option.get_value_hint() == ValueHint::AnyPath;
        let absolute = |value: &OsStr| std::path::absolute(value).ok().filter(|_| is_path).map(PathBuf::into_os_string);
        let values = given.get_raw(id).into_iter().flatten();
        let values = values.map(|value| absolute(value).unwrap_or_else(|| value.to_owned()).into_string());
        let Ok(values) = values.collect::<Result<Vec<String>, _>>() else {
            writeln!(text, "# {name} was given as no UTF-8, which such a file cannot hold").expect("memory takes text");
            continue;
        };
        let number =
            |text: &String| text.parse::<toml::Value>().ok().filter(|value| value.is_float() || value.is_integer());
        let values: Vec<Value> =
            values.iter().map(|text| number(text).unwrap_or_else(|| Value::String(text.clone()))).collect();
        let value = match (&values[..], option.get_action()) {
            _ if is_switch(option) => Value::Boolean(true),
            (_, ArgAction::Append) => Value::Array(values),
            _ => values.into_iter().next().expect("an option that was given has a value"),
        };
        writeln!(text, "{name} = {value}").expect("memory takes text");
    }
    text
}
