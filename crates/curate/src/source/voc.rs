//! Pascal VOC: one XML file per picture with pixel boxes.
//!
//! Edges are taken as written: left and top of the first pixel, right and bottom exclusive. Files that count from 1 are off by one
//! pixel at the left and top, which two decimals of a fraction do not show.

use super::{Boxes, Folder, Frame, Item, MarkedBox, Marks, quarantine_unlabelled, quarantine_unreadable};
use crate::Result;
use crate::kind::Voc;
use crate::ledger::{Defect, Ledger};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::collections::BTreeSet;

pub(super) fn read(folder: &Folder, kind: &Voc, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut used = BTreeSet::new();
    for mut item in folder.pictures(&kind.images)? {
        let filled = kind.annotations.fill(&item.fields);
        let Some(file) = filled.literal().filter(|file| folder.inputs.files.contains(*file)) else {
            quarantine_unlabelled(&item.name, &format!("`{}` does not exist", filled.as_str()), ledger);
            continue;
        };
        used.insert(file.to_string());
        match folder.text(file).and_then(|text| parse(file, &text)) {
            Ok(boxes) => {
                item.annotation = Some(file.to_string());
                item.marks = Marks::Boxes(boxes);
                items.push(item);
            }
            Err(defect) => quarantine_unreadable(&item.name, defect, ledger),
        }
    }
    folder.quarantine_orphans(&kind.annotations, &used, ledger);
    Ok(items)
}

/// An `object` element while it is read.
#[derive(Default)]
struct Object {
    name: Option<String>,
    edges: [Option<f64>; 4],
}

/// What is read from one XML file.
#[derive(Default)]
struct Document {
    width: Option<f64>,
    height: Option<f64>,
    objects: Vec<Object>,
}

fn parse(file: &str, xml: &str) -> std::result::Result<Boxes, Defect> {
    let remedy = "export the annotation again as Pascal VOC XML";
    let defect = |field: &str, reason: String| Defect::new(file, field, reason, remedy);
    let mut reader = Reader::from_str(xml);
    let mut document = Document::default();
    let mut open: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event() {
            Err(error) => return Err(defect(&format!("byte {}", reader.error_position()), error.to_string())),
            Ok(Event::Eof) if open.is_empty() => break,
            Ok(Event::Eof) => return Err(defect("file", format!("the file ends inside <{}>", open.join("><")))),
            Ok(Event::Start(start)) => {
                open.push(start.name().as_ref().to_string());
                text.clear();
                if open == ["annotation", "object"] {
                    document.objects.push(Object::default());
                }
            }
            Ok(Event::End(_)) => {
                document.take(&open, text.trim());
                open.pop();
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::CData(part)) => text.push_str(&part),
            // Of entities only names can have need: `A &amp; B`.
            Ok(Event::GeneralRef(entity)) => text.push_str(resolve_predefined_entity(&entity).unwrap_or_default()),
            Ok(_) => {}
        }
    }
    document.into_boxes(file).map_err(|(field, reason)| defect(&field, reason))
}

impl Document {
    /// Takes over the text of the innermost open element.
    fn take(&mut self, open: &[String], text: &str) {
        if text.is_empty() {
            return;
        }
        let path: Vec<&str> = open.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["annotation", "size", "width"] => self.width = text.parse().ok(),
            ["annotation", "size", "height"] => self.height = text.parse().ok(),
            ["annotation", "object", "name"] => {
                if let Some(object) = self.objects.last_mut() {
                    object.name = Some(text.to_string());
                }
            }
            ["annotation", "object", "bndbox", edge] => {
                let index = ["xmin", "ymin", "xmax", "ymax"].iter().position(|name| name == edge);
                if let (Some(index), Some(object)) = (index, self.objects.last_mut()) {
                    object.edges[index] = text.parse().ok();
                }
            }
            _ => {}
        }
    }

    fn into_boxes(self, file: &str) -> std::result::Result<Boxes, (String, String)> {
        let frame = match (self.width, self.height) {
            (Some(width), Some(height)) if width >= 1.0 && height >= 1.0 => {
                Frame::Pixels { width: width as u32, height: height as u32 }
            }
            (None, None) => Frame::Unstated,
            // Some tools write 0 x 0 when they do not know.
            (Some(0.0), Some(0.0)) => Frame::Unstated,
            _ => return Err(("size".to_string(), "width and height are not both numbers above 0".to_string())),
        };
        let mut boxes = Vec::new();
        for (index, object) in self.objects.into_iter().enumerate() {
            let place = format!("object {}, bndbox", index + 1);
            let name = object.name.ok_or_else(|| (place.clone(), "the object has no name".to_string()))?;
            // A missing edge becomes not-a-number: the box, not the file, is quarantined.
            let edges = object.edges.map(|edge| edge.unwrap_or(f64::NAN));
            boxes.push(MarkedBox::new(name, edges, place));
        }
        Ok(Boxes { boxes, ..Boxes::none(file, frame) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const XML: &str = "<annotation><size><width>640</width><height>480</height></size>
        <object><name>RBC</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30.5</xmax><ymax>40</ymax></bndbox></object>
        <object><name>W &amp; BC</name><bndbox><xmin>5</xmin><ymin>6</ymin><xmax>7</xmax></bndbox></object></annotation>";

    #[test]
    fn boxes_and_size_are_read() {
        let boxes = parse("a.xml", XML).unwrap();
        assert!(matches!(boxes.frame, Frame::Pixels { width: 640, height: 480 }));
        assert_eq!((boxes.boxes[0].name.as_str(), boxes.boxes[0].edges), ("RBC", [1.0, 2.0, 30.5, 40.0]));
        assert_eq!(boxes.boxes[1].name, "W & BC");
        assert!(boxes.boxes[1].edges[3].is_nan(), "a missing edge spoils one box only");
        assert_eq!(boxes.boxes[1].place, "object 2, bndbox");
    }

    #[test]
    fn truncated_xml_is_a_defect_that_names_the_place() {
        for length in [10, 60, 200, XML.len() - 3] {
            let defect = parse("a.xml", &XML[..length]).map(|_| ()).unwrap_err();
            assert_eq!(defect.file, "a.xml");
            assert!(!defect.reason.is_empty() && !defect.field.is_empty());
        }
    }
}
