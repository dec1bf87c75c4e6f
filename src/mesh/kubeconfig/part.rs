//! A mapping inside a kubeconfig and its position, so that errors can name it.

use std::collections::HashMap;

use serde_json::{Map, Value};

pub struct Part<'a> {
    /// Position, as in `user "admin"`; empty for the whole file.
    place: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Part<'a> {
    pub fn whole(value: &'a Value) -> Result<Part<'a>, String> {
        Part::new(String::new(), value).ok_or_else(|| "not a mapping".into())
    }

    /// Null is an empty mapping.
    fn new(place: String, value: &'a Value) -> Option<Part<'a>> {
        match value {
            Value::Null => Some(Part { place, map: None }),
            Value::Object(map) => {
                let map = Some(map);
                Some(Part { place, map })
            }
            _ => None,
        }
    }

    pub fn any(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|value| !value.is_null())
    }

    /// The error for a value of the wrong type.
    pub fn wrong(&self, key: &str, expected: &str) -> String {
        let place = match self.place.as_str() {
            "" => String::new(),
            place => format!("{place}: "),
        };
        format!("{place}{key} is not {expected}")
    }

    /// A text; None if it is empty.
    pub fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.wrong(key, "text; put it in quotes")),
        }
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        match self.any(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    pub fn texts(&self, key: &str) -> Result<Option<Vec<String>>, String> {
        let Some(value) = self.any(key) else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, "a list of texts");
        texts(value).map(Some).ok_or_else(wrong)
    }

    pub fn words(&self, key: &str) -> Result<HashMap<String, String>, String> {
        let entries = self.entries(key)?.map(|(name, value)| match value {
            Value::Null => Ok((name.clone(), String::new())),
            Value::String(text) => Ok((name.clone(), text.clone())),
            _ => Err(self.wrong(key, "a mapping of texts")),
        });
        entries.collect()
    }

    pub fn lists(&self, key: &str) -> Result<Option<HashMap<String, Vec<String>>>, String> {
        let entries = self.entries(key)?.map(|(name, value)| {
            let wrong = || self.wrong(key, "a mapping of lists of texts");
            Ok((name.clone(), texts(value).ok_or_else(wrong)?))
        });
        entries.collect::<Result<_, String>>().map(Some)
    }

    fn entries(&self, key: &str) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
        match self.any(key) {
            None => Ok(None.into_iter().flatten()),
            Some(Value::Object(map)) => Ok(Some(map).into_iter().flatten()),
            Some(_) => Err(self.wrong(key, "a mapping")),
        }
    }

    /// The mapping under a key; empty if there is none.
    pub fn part(&self, key: &str, place: String) -> Result<Part<'a>, String> {
        let value = self.any(key).unwrap_or(&Value::Null);
        Part::new(place, value).ok_or_else(|| self.wrong(key, "a mapping"))
    }

    pub fn optional(&self, key: &str) -> Result<Option<Part<'a>>, String> {
        let place = format!("{} {key}", self.place);
        let part = self.any(key).map(|_| self.part(key, place));
        part.transpose()
    }

    pub fn parts(&self, key: &str) -> Result<Vec<Part<'a>>, String> {
        let list = match self.any(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(self.wrong(key, "a list")),
        };
        let place = |number: usize| format!("{} {key}[{number}]", self.place).trim().to_string();
        let parts = list.iter().enumerate().map(|(number, value)| {
            let wrong = || self.wrong(&format!("{key}[{number}]"), "a mapping");
            Part::new(place(number), value).ok_or_else(wrong)
        });
        parts.collect()
    }
}

/// Returns None if the list contains anything but texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list
            .iter()
            .map(|value| match value {
                Value::Null => Some(String::new()),
                Value::String(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
