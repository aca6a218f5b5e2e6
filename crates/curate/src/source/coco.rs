//! COCO: JSON files that list images, categories and pixel boxes.

use super::{Boxes, Folder, Frame, Item, MarkedBox, Marks, quarantine_unlabelled};
use crate::kind::Coco;
use crate::ledger::{Defect, Ledger, Of};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
    width: Option<u32>,
    height: Option<u32>,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    id: Option<i64>,
    image_id: i64,
    category_id: i64,
    /// Left, top, width, height.
    #[serde(default)]
    bbox: Vec<f64>,
    #[serde(default)]
    segmentation: serde_json::Value,
    #[serde(default)]
    iscrowd: u8,
}

pub(super) fn read(folder: &Folder, kind: &Coco, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items: BTreeMap<String, Item> =
        folder.pictures(&kind.images)?.into_iter().map(|item| (item.name.clone(), item)).collect();
    for file in &kind.annotations {
        if !folder.inputs.files.contains(file) {
            let path = folder.inputs.path(file);
            let reason = "the file that the config names does not exist; correct `annotations`".to_string();
            return Err(Error::Annotation { path, field: "file".to_string(), reason });
        }
        let document = folder.text(file).and_then(|text| {
            serde_json::from_str::<Document>(&text).map_err(|error| {
                let field = format!("line {}, column {}", error.line(), error.column());
                Defect::new(file, field, error.to_string(), "export the annotations again as COCO JSON")
            })
        });
        match document {
            Ok(document) => add_document(folder, kind, (file, document), &mut items, ledger),
            Err(defect) => {
                ledger.found(Of::Annotations, 1);
                ledger.quarantine(Of::Annotations, defect);
            }
        }
    }
    let (listed, unlisted): (Vec<Item>, Vec<Item>) =
        items.into_values().partition(|item| matches!(item.marks, Marks::Boxes(_)));
    for item in unlisted {
        quarantine_unlabelled(&item.name, "no readable annotation file lists it under images", ledger);
    }
    Ok(listed)
}

/// Adds the boxes of one file to the items it lists.
fn add_document(
    folder: &Folder,
    kind: &Coco,
    (file, document): (&str, Document),
    items: &mut BTreeMap<String, Item>,
    ledger: &mut Ledger,
) {
    let own_folder = file.rsplit_once('/').map_or("", |(parent, _)| parent);
    let image_folder = kind.image_folder.as_deref().unwrap_or(own_folder).trim_end_matches('/');
    let names: BTreeMap<i64, &str> =
        document.categories.iter().map(|category| (category.id, category.name.as_str())).collect();
    let mut item_of: BTreeMap<i64, String> = BTreeMap::new();
    for image in &document.images {
        let name = match image_folder {
            "" => image.file_name.clone(),
            parent => format!("{parent}/{}", image.file_name),
        };
        let remedy = "add the image, or correct file_name, image_folder or the pattern of images";
        let field = format!("images, id {}", image.id);
        let problem = match items.get_mut(&name) {
            None if folder.inputs.files.contains(&name) => continue, // The config's pattern leaves the picture out on purpose.
            None => format!("label without image: `{name}` does not exist"),
            Some(item) if matches!(item.marks, Marks::Boxes(_)) => format!("`{name}` is listed twice"),
            Some(item) => {
                let frame = match (image.width, image.height) {
                    (Some(width), Some(height)) if width > 0 && height > 0 => Frame::Pixels { width, height },
                    _ => Frame::Unstated,
                };
                item.annotation = Some(file.to_string());
                item.marks = Marks::Boxes(Boxes { file: file.to_string(), frame, boxes: Vec::new() });
                item_of.insert(image.id, name);
                continue;
            }
        };
        ledger.found(Of::Annotations, 1);
        ledger.quarantine(Of::Annotations, Defect::new(file, field, problem, remedy));
    }
    let known: BTreeSet<i64> = document.images.iter().map(|image| image.id).collect();
    for (index, annotation) in document.annotations.iter().enumerate() {
        let place = match annotation.id {
            Some(id) => format!("annotations, id {id}"),
            None => format!("annotations, entry {}", index + 1),
        };
        let item = item_of.get(&annotation.image_id).and_then(|name| items.get_mut(name));
        match (item, names.get(&annotation.category_id)) {
            (Some(_), Some(_)) if annotation.iscrowd != 0 => {
                ledger.found(Of::Annotations, 1);
                ledger.skip(Of::Annotations, "the box is around a crowd (iscrowd)", 1);
            }
            (Some(item), Some(name)) => {
                if let Marks::Boxes(boxes) = &mut item.marks {
                    boxes.boxes.push(MarkedBox { name: name.to_string(), edges: edges(annotation), place });
                }
            }
            (item, category) => {
                ledger.found(Of::Annotations, 1);
                if item.is_none() && known.contains(&annotation.image_id) {
                    ledger.skip(Of::Annotations, crate::ledger::IMAGE_LEFT_OUT, 1);
                    continue;
                }
                let reason = match category {
                    None => format!("category_id {} is not under categories", annotation.category_id),
                    Some(_) => format!("image_id {} is not under images", annotation.image_id),
                };
                let defect = Defect::new(file, place, reason, "correct or remove the annotation");
                ledger.quarantine(Of::Annotations, defect);
            }
        }
    }
}

/// The edges of an annotation: of its box, else around its polygons; not-a-number when it has neither.
fn edges(annotation: &Annotation) -> [f64; 4] {
    if let [left, top, width, height] = annotation.bbox[..] {
        return [left, top, left + width, top + height];
    }
    let mut edges = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for polygon in annotation.segmentation.as_array().into_iter().flatten() {
        let numbers: Vec<f64> =
            polygon.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
        for point in numbers.chunks_exact(2) {
            edges = [edges[0].min(point[0]), edges[1].min(point[1]), edges[2].max(point[0]), edges[3].max(point[1])];
        }
    }
    if edges[0].is_finite() { edges } else { [f64::NAN; 4] }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn polygon_stands_in_for_a_missing_box() {
        let read = |text: &str| edges(&serde_json::from_str(text).unwrap());
        let with_box = r#"{"image_id": 1, "category_id": 1, "bbox": [10, 20, 5.5, 6], "iscrowd": 0}"#;
        assert_eq!(read(with_box), [10.0, 20.0, 15.5, 26.0]);
        let polygons = r#"{"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 9, 4, 5, 8], [0, 7, 1, 7]]}"#;
        assert_eq!(read(polygons), [0.0, 2.0, 9.0, 8.0]);
        assert!(read(r#"{"image_id": 1, "category_id": 1}"#)[0].is_nan());
    }
}
