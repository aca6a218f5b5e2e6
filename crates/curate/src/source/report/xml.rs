//! An XML file as a tree, for formats whose parts refer to each other. External entities are never resolved.

use crate::ledger::Defect;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// Elements nested deeper than this are an attack.
const MAX_DEPTH: usize = 128;
/// Elements of one file.
const MAX_ELEMENTS: usize = 2_000_000;

/// One element.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Local name, without prefix.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
}

/// What stands inside an element.
#[derive(Debug)]
pub(super) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// An attribute by its local name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The elements directly inside that have this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.name == name)
    }

    /// The first of them.
    pub(super) fn first(&self, name: &str) -> Option<&Element> {
        self.elements().find(|element| element.name == name)
    }

    /// All elements directly inside.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// This element and all below it, in order.
    pub(super) fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Element)) {
        see(self);
        self.elements().for_each(|element| element.visit(see));
    }

    /// All text below, with its blanks as they are.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.children {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(element) => text.push_str(&element.text()),
            }
        }
        text
    }
}

/// Reads a file into its root element.
pub(super) fn parse(file: &str, xml: &str) -> Result<Element, Defect> {
    let remedy = "export the document again as XML";
    let defect = |field: String, reason: String| Defect::new(file, field, reason, remedy);
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    let mut count = 0;
    loop {
        let event = reader.read_event();
        let place = || format!("byte {}", reader.error_position().max(reader.buffer_position()));
        match event {
            Err(error) => return Err(defect(place(), error.to_string())),
            Ok(Event::Eof) => break,
            Ok(Event::Start(start)) => {
                count += 1;
                if open.len() > MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err(defect(place(), format!("more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")));
                }
                open.push(element(&start).map_err(|reason| defect(place(), reason))?);
            }
            Ok(Event::Empty(start)) => {
                count += 1;
                let element = element(&start).map_err(|reason| defect(place(), reason))?;
                add(&mut open, Node::Element(element));
            }
            Ok(Event::End(_)) => {
                let closed = open.pop().unwrap_or_default();
                if open.is_empty() {
                    return Err(defect(place(), "an element is closed that was not opened".to_string()));
                }
                add(&mut open, Node::Element(closed));
            }
            Ok(Event::Text(part)) => add(&mut open, Node::Text(part.to_string())),
            Ok(Event::CData(part)) => add(&mut open, Node::Text(part.to_string())),
            Ok(Event::GeneralRef(entity)) => add(&mut open, Node::Text(resolved(&entity))),
            Ok(_) => {}
        }
    }
    let [document] = open.as_slice() else {
        let names: Vec<&str> = open.iter().skip(1).map(|element| element.name.as_str()).collect();
        return Err(defect("file".to_string(), format!("the file ends inside <{}>", names.join("><"))));
    };
    let position = document.children.iter().position(|node| matches!(node, Node::Element(_)));
    match (open.swap_remove(0).children, position) {
        (mut children, Some(position)) => match children.swap_remove(position) {
            Node::Element(root) => Ok(root),
            Node::Text(_) => Err(defect("file".to_string(), "the file has no element".to_string())),
        },
        _ => Err(defect("file".to_string(), "the file has no element".to_string())),
    }
}

fn add(open: &mut [Element], node: Node) {
    if let Some(innermost) = open.last_mut() {
        innermost.children.push(node);
    }
}

fn element(start: &BytesStart) -> Result<Element, String> {
    let mut element = Element { name: start.local_name().as_ref().to_string(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = unescaped(&attribute.value);
        element.attributes.push((attribute.key.local_name().as_ref().to_string(), value));
    }
    Ok(element)
}

/// An attribute's value with its entities resolved.
fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        match after.split_once(';') {
            Some((entity, after)) => {
                text.push_str(&resolved(entity));
                rest = after;
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// A named or numbered character; nothing for entities that the file declares itself.
fn resolved(entity: &str) -> String {
    let number = entity.strip_prefix('#').map(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    });
    match number {
        Some(number) => number.and_then(char::from_u32).map(String::from).unwrap_or_default(),
        None => resolve_predefined_entity(entity).unwrap_or_default().to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_entities_are_read() {
        let xml = "<?xml version='1.0'?><!-- c --><h:a x:b='1 &amp; 2'><c>T &lt; 5 &#181;m<d/></c><c><![CDATA[<raw>]]></c></h:a>";
        let root = parse("a.xml", xml).unwrap();
        assert_eq!((root.name.as_str(), root.attribute("b")), ("a", Some("1 & 2")));
        let texts: Vec<String> = root.all("c").map(Element::text).collect();
        assert_eq!(texts, ["T < 5 µm", "<raw>"]);
        assert!(root.first("c").unwrap().first("d").is_some());
    }

    #[test]
    fn broken_and_hostile_files_are_defects() {
        for xml in ["", "text", "<a><b></a>", "<a><b>", "</a>", "<a b=>"] {
            assert!(parse("a.xml", xml).is_err(), "{xml}");
        }
        assert!(parse("a.xml", &"<a>".repeat(10_000)).unwrap_err().reason.contains("levels"));
        let bomb = "<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;\">]><a>&y;</a>";
        assert_eq!(parse("a.xml", bomb).map(|root| root.text()).unwrap_or_default(), "");
    }
}
