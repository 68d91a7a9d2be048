//! A table of the file, asked key by key. A deserializer would stop at the first wrong value; this one writes down what
//! is wrong and goes on, so that all faults are shown at once.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::Fault;
use super::nearest::{did_you_mean, nearest};
use super::units::{DURATION_FORM, SIZE_FORM, UnitError, parse_duration, parse_size};
use super::vars::{Vars, type_of};

/// A number, or the one word that may stand in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberOr {
    /// A number.
    Number(i64),
    /// The word.
    Word,
}

/// A number, or a text in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NumberOrText {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// All names of a list, and those that must have completed.
pub(super) type Needs = (Option<Spanned<Vec<Spanned<String>>>>, Vec<Spanned<String>>);

/// What is needed to read any value: the text, the values of `${…}`, and the list of what was wrong.
pub(super) struct Reader<'a> {
    pub(super) source: &'a str,
    pub(super) vars: Vars,
    pub(super) faults: Vec<Fault>,
}

impl Reader<'_> {
    fn wrong_type(&mut self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>, help: &str) {
        let message = format!("{key} must be {wanted}, not {}", type_of(value.get_ref()));
        self.faults.push(Fault::at(value.span(), message).help(help));
    }

    /// A string with its values put in.
    fn text(&mut self, key: &str, value: &Spanned<DeValue<'_>>, help: &str) -> Option<Spanned<String>> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(key, "a string", value, help);
            return None;
        };
        let put = self.vars.put_in(text, value.span(), self.source, &mut self.faults)?;
        Some(Spanned::new(value.span(), put))
    }

    fn integer(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<i64> {
        let integer = value.get_ref().as_integer()?;
        let read = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if read.is_none() {
            self.faults.push(Fault::at(value.span(), format!("{key} is too large a number")).help("such as 4"));
        }
        read
    }

    /// A string with a unit, read by `parse`.
    fn measure<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        parse: fn(&str) -> Result<T, UnitError>,
        (form, example): (&str, &str),
    ) -> Option<Spanned<T>> {
        if let Some(integer) = value.get_ref().as_integer() {
            let help = format!("write \"{integer}{example}\", in quotes: {form}");
            self.faults.push(Fault::at(value.span(), format!("{key} has no unit")).help(help));
            return None;
        }
        let text = self.text(key, value, form)?;
        match parse(text.get_ref()) {
            Ok(read) => Some(Spanned::new(text.span(), read)),
            Err(error) => {
                self.faults.push(Fault::at(text.span(), format!("{key} {error}")).help(form));
                None
            }
        }
    }
}

/// One table. Every method gives `None` for a key that is not there, and for one whose value is at fault, which has
/// then been reported.
pub(super) struct Table<'a> {
    entries: Vec<(&'static str, &'a Spanned<DeValue<'a>>)>,
}

impl<'a> Table<'a> {
    /// Reports all keys that are not among the known ones. One that is nearly right counts as what was meant, so
    /// that one slip is one fault.
    pub(super) fn open(reader: &mut Reader<'_>, table: &'a DeTable<'a>, whose: &str, known: &[&'static str]) -> Self {
        let mut entries = Vec::new();
        let mut strangers = Vec::new();
        for (key, value) in table {
            match known.iter().find(|known| *known == key.get_ref()) {
                Some(known) => entries.push((*known, value)),
                None => strangers.push((key, value)),
            }
        }
        for (key, value) in strangers {
            let name = key.get_ref();
            let help = did_you_mean(name, known, || format!("known keys are {}", known.join(", ")));
            reader.faults.push(Fault::at(key.span(), format!("unknown key {name:?} in {whose}")).help(help));
            if let Some(meant) = nearest(name, known.iter().copied())
                && !entries.iter().any(|(key, _)| *key == meant)
            {
                entries.push((meant, value));
            }
        }
        Self { entries }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.iter().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    pub(super) fn text(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<String>> {
        reader.text(key, self.get(key)?, "put the value in quotes")
    }

    pub(super) fn size(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<i64>> {
        reader.measure(key, self.get(key)?, parse_size, (SIZE_FORM, "B"))
    }

    /// A string, or a number as one.
    pub(super) fn text_or_number(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<String>> {
        let value = self.get(key)?;
        if value.get_ref().is_integer() {
            return reader.integer(key, value).map(|number| Spanned::new(value.span(), number.to_string()));
        }
        reader.text(key, value, "write a number, or a text in quotes")
    }

    /// A table in the table.
    pub(super) fn table(&self, reader: &mut Reader<'_>, key: &str, help: &str) -> Option<&'a DeTable<'a>> {
        let value = self.get(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            reader.wrong_type(key, "a table", value, help);
        }
        table
    }

    pub(super) fn duration(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<Duration>> {
        reader.measure(key, self.get(key)?, parse_duration, (DURATION_FORM, "s"))
    }

    pub(super) fn number(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<i64>> {
        let read = self.number_or_word(reader, key, None)?;
        match read.get_ref() {
            NumberOr::Number(number) => Some(Spanned::new(read.span(), *number)),
            NumberOr::Word => None,
        }
    }

    pub(super) fn number_or(&self, reader: &mut Reader<'_>, key: &str, word: &str) -> Option<Spanned<NumberOr>> {
        self.number_or_word(reader, key, Some(word))
    }

    /// True or false; a string too, if a `${…}` made it one of them.
    pub(super) fn flag(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<bool>> {
        let value = self.get(key)?;
        if let Some(truth) = value.get_ref().as_bool() {
            return Some(Spanned::new(value.span(), truth));
        }
        let help = format!("write {key} = true or {key} = false");
        if !value.get_ref().as_str().is_some_and(|typed| typed.contains("${")) {
            reader.wrong_type(key, "true or false", value, &help);
            return None;
        }
        let text = reader.text(key, value, "")?;
        let read = text.get_ref().parse().ok();
        if read.is_none() {
            let message = format!("{key} must be true or false, not {:?}", text.get_ref());
            reader.faults.push(Fault::at(value.span(), message).help(help));
        }
        read.map(|truth| Spanned::new(value.span(), truth))
    }

    /// The table of that name, of which there is one at most.
    pub(super) fn inner(&self, reader: &mut Reader<'_>, key: &str) -> Option<&'a DeTable<'a>> {
        let value = self.get(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            reader.wrong_type(key, "a table", value, &format!("write [{key}] and its keys below"));
        }
        table
    }

    /// A string is a number if a `${…}` made it one: the value of a var is always a string.
    fn number_or_word(&self, reader: &mut Reader<'_>, key: &str, word: Option<&str>) -> Option<Spanned<NumberOr>> {
        let value = self.get(key)?;
        if value.get_ref().is_integer() {
            return reader.integer(key, value).map(|number| Spanned::new(value.span(), NumberOr::Number(number)));
        }
        let wanted = word.map_or("a whole number".to_owned(), |word| format!("a whole number or {word:?}"));
        let Some(typed) = value.get_ref().as_str() else {
            reader.wrong_type(key, &wanted, value, "such as 4");
            return None;
        };
        let text = reader.text(key, value, "")?;
        if word == Some(text.get_ref()) {
            return Some(Spanned::new(value.span(), NumberOr::Word));
        }
        match text.get_ref().parse() {
            Ok(number) if typed.contains("${") => Some(Spanned::new(value.span(), NumberOr::Number(number))),
            Ok(number) => {
                let number: i64 = number;
                let message = format!("{key} must be {wanted}, not a string");
                reader.faults.push(Fault::at(value.span(), message).help(format!("write {number} without quotes")));
                None
            }
            Err(_) => {
                let message = format!("{key} must be {wanted}, not {:?}", text.get_ref());
                let known: Vec<&str> = word.into_iter().collect();
                let help = did_you_mean(text.get_ref(), &known, || "such as 4".to_owned());
                reader.faults.push(Fault::at(value.span(), message).help(help));
                None
            }
        }
    }

    /// A list of numbers and strings.
    pub(super) fn numbers_or_texts(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
    ) -> Option<Spanned<Vec<Spanned<NumberOrText>>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            reader.wrong_type(key, "a list", value, &format!("write {key} = [3, \"TERM\"]"));
            return None;
        };
        let mut list = Some(Vec::new());
        for element in array.iter() {
            let read = if element.get_ref().is_integer() {
                reader.integer(key, element).map(NumberOrText::Number)
            } else if let Some(typed) = element.get_ref().as_str() {
                reader.text(key, element, "").map(|text| match text.get_ref().parse() {
                    // A var is always a string.
                    Ok(number) if typed.contains("${") => NumberOrText::Number(number),
                    Ok(_) | Err(_) => NumberOrText::Text(text.into_inner()),
                })
            } else {
                let wanted = "a whole number or a string";
                reader.wrong_type(&format!("each of {key}"), wanted, element, "such as 3 or \"TERM\"");
                None
            };
            list = list.zip(read).map(|(mut list, read)| {
                list.push(Spanned::new(element.span(), read));
                list
            });
        }
        list.map(|list| Spanned::new(value.span(), list))
    }

    /// A list of strings. A plain string is a fault that shows the list to write.
    pub(super) fn list(&self, reader: &mut Reader<'_>, key: &str) -> Option<Spanned<Vec<Spanned<String>>>> {
        let value = self.get(key)?;
        let Some(array) = value.get_ref().as_array() else {
            let words: Vec<String> = match value.get_ref().as_str() {
                Some(text) => text.split_whitespace().map(|word| format!("{word:?}")).collect(),
                None => vec!["\"…\"".to_owned()],
            };
            let help = format!("write {key} = [{}]", words.join(", "));
            reader.wrong_type(key, "a list of strings", value, &help);
            return None;
        };
        let mut list = Some(Vec::new());
        for element in array.iter() {
            let text = reader.text(&format!("each of {key}"), element, "put the value in quotes");
            list = list.zip(text).map(|(mut list, text)| {
                list.push(text);
                list
            });
        }
        list.map(|list| Spanned::new(value.span(), list))
    }

    /// A list of what is needed: names, or tables with a `stage` and a `condition`. Gives all names, and those whose
    /// condition is `completed`.
    pub(super) fn needs(&self, reader: &mut Reader<'_>, key: &str) -> Needs {
        const CONDITIONS: [&str; 2] = ["ready", "completed"];
        let Some(value) = self.get(key) else { return (None, Vec::new()) };
        let is_plain = |list: &DeArray<'_>| list.iter().all(|element| element.get_ref().as_table().is_none());
        let Some(array) = value.get_ref().as_array().filter(|list| !is_plain(list)) else {
            return (self.list(reader, key), Vec::new());
        };
        let (mut names, mut completed) = (Some(Vec::new()), Vec::new());
        for element in array.iter() {
            let Some(entry) = element.get_ref().as_table() else {
                let help = "put the name in quotes, or write { stage = \"name\", condition = \"completed\" }";
                let name = reader.text(&format!("each of {key}"), element, help);
                names = names.zip(name).map(|(names, name)| with(names, name));
                continue;
            };
            let entry = Self::open(reader, entry, &format!("an entry of {key}"), &["stage", "condition"]);
            let (name, condition) = (entry.text(reader, "stage"), entry.text(reader, "condition"));
            if entry.get("stage").is_none() {
                let fault = Fault::at(element.span(), format!("an entry of {key} names no stage"));
                reader.faults.push(fault.help("write { stage = \"name\", condition = \"completed\" }"));
            }
            match (&name, condition) {
                (Some(name), Some(condition)) if condition.get_ref() == "completed" => completed.push(name.clone()),
                (_, Some(condition)) if !CONDITIONS.contains(&condition.get_ref().as_str()) => {
                    let help = did_you_mean(condition.get_ref(), &CONDITIONS, || {
                        format!("it is one of {}", CONDITIONS.join(", "))
                    });
                    let message = format!("condition cannot be {:?}", condition.get_ref());
                    reader.faults.push(Fault::at(condition.span(), message).help(help));
                }
                (_, Some(_) | None) => {}
            }
            names = names.zip(name).map(|(names, name)| with(names, name));
        }
        (names.map(|names| Spanned::new(value.span(), names)), completed)
    }

    /// A table of strings.
    pub(super) fn strings(&self, reader: &mut Reader<'_>, key: &str) -> Vec<(Spanned<String>, Spanned<String>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(key, "a table of strings", value, &format!("write {key} = {{ NAME = \"value\" }}"));
            return Vec::new();
        };
        let mut strings = Vec::new();
        for (name, value) in table {
            let text = reader.text(&format!("{key}.{}", name.get_ref()), value, "put the value in quotes");
            if let Some(text) = text {
                strings.push((Spanned::new(name.span(), name.get_ref().to_string()), text));
            }
        }
        strings
    }

    /// The tables in a table, by name, in the order of the file. One that is no table is reported and counts as empty
    /// (`None`), so that its name is known.
    pub(super) fn tables(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        noun: &str,
    ) -> Vec<(Spanned<String>, Option<&'a DeTable<'a>>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type(key, "a table", value, &format!("write one [{key}.NAME] for each {noun}"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in table {
            let inner = value.get_ref().as_table();
            if inner.is_none() {
                let help = format!("write [{key}.{}] and its keys below", name.get_ref());
                reader.wrong_type(&format!("{noun} {:?}", name.get_ref()), "a table", value, &help);
            }
            tables.push((Spanned::new(name.span(), name.get_ref().to_string()), inner));
        }
        tables.sort_by_key(|(name, _)| name.span().start);
        tables
    }

    /// Where the value of a key stands.
    pub(super) fn place(&self, key: &str) -> Option<Range<usize>> {
        self.get(key).map(Spanned::span)
    }
}

fn with<T>(mut list: Vec<T>, more: T) -> Vec<T> {
    list.push(more);
    list
}
