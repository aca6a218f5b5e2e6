//! COCO: JSON files that list images, categories, pixel boxes and masks: polygons, run lengths, compressed run lengths.

use super::{Boxes, Folder, Frame, Item, MarkedBox, Marks, outline, quarantine_unlabelled};
use crate::Result;
use crate::kind::Coco;
use crate::ledger::{Defect, Ledger, Of};
use gmai_schema::RleMask;
use serde::Deserialize;
use serde_json::Value;
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
    segmentation: Value,
    #[serde(default)]
    iscrowd: u8,
}

pub(super) fn read(folder: &Folder, kind: &Coco, ledger: &mut Ledger) -> Result<Vec<Item>> {
    let mut items: BTreeMap<String, Item> =
        folder.pictures(&kind.images)?.into_iter().map(|item| (item.name.clone(), item)).collect();
    for file in &kind.annotations {
        folder.demand(file, "annotations")?;
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
                item.marks = Marks::Boxes(Boxes::none(file, frame));
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
        let category = names.get(&annotation.category_id).copied();
        if item.is_none() && known.contains(&annotation.image_id) {
            ledger.found(Of::Annotations, 1);
            ledger.skip(Of::Annotations, crate::ledger::IMAGE_LEFT_OUT, 1);
        } else if let Err(reason) = add_annotation(annotation, item, category, place.clone()) {
            ledger.found(Of::Annotations, 1);
            let defect = Defect::new(file, place, reason, "correct or remove the annotation");
            ledger.quarantine(Of::Annotations, defect);
        }
    }
}

/// Adds an annotation to the item of its image. The error is what is wrong with it.
fn add_annotation(
    annotation: &Annotation,
    item: Option<&mut Item>,
    category: Option<&str>,
    place: String,
) -> std::result::Result<(), String> {
    let name = category.ok_or_else(|| format!("category_id {} is not under categories", annotation.category_id))?;
    let item = item.ok_or_else(|| format!("image_id {} is not under images", annotation.image_id))?;
    let Marks::Boxes(boxes) = &mut item.marks else { return Ok(()) }; // Items that are listed have boxes.
    match marked(annotation, boxes.frame) {
        Ok((edges, mask)) => {
            let is_crowd = annotation.iscrowd != 0;
            boxes.boxes.push(MarkedBox { mask, is_crowd, ..MarkedBox::new(name, edges, place) });
            Ok(())
        }
        Err(reason) => {
            boxes.is_incomplete = true;
            Err(reason)
        }
    }
}

/// Edges and pixels of an annotation. Edges are those of its box, else around its pixels; not-a-number when it has neither.
fn marked(annotation: &Annotation, frame: Frame) -> std::result::Result<([f64; 4], Option<RleMask>), String> {
    let mask = mask(&annotation.segmentation, frame)?;
    if let [left, top, width, height] = annotation.bbox[..] {
        return Ok(([left, top, left + width, top + height], mask));
    }
    let polygons = polygons(&annotation.segmentation);
    let corners: Vec<[f64; 2]> = polygons.into_iter().flatten().collect();
    if !corners.is_empty() {
        return Ok((outline::edges(&corners), mask));
    }
    let edges = mask.as_ref().and_then(RleMask::bounds).map(|edges| edges.map(f64::from));
    Ok((edges.unwrap_or([f64::NAN; 4]), mask))
}

fn polygons(segmentation: &Value) -> Vec<Vec<[f64; 2]>> {
    let polygon = |polygon: &Value| {
        let numbers: Vec<f64> = polygon.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        numbers.as_chunks::<2>().0.to_vec()
    };
    segmentation.as_array().into_iter().flatten().map(polygon).filter(|polygon| !polygon.is_empty()).collect()
}

/// The pixels of a segmentation; `None` when there is none, or polygons of a picture whose size is not stated.
fn mask(segmentation: &Value, frame: Frame) -> std::result::Result<Option<RleMask>, String> {
    let stated = match frame {
        Frame::Pixels { width, height } => Some((width, height)),
        _ => None,
    };
    match segmentation {
        Value::Object(rle) => {
            let size: Vec<u32> = rle
                .get("size")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|side| side.as_u64().and_then(|side| u32::try_from(side).ok()))
                .collect();
            let [height, width] = size[..] else {
                return Err("the run lengths have no `size` of height and width".to_string());
            };
            if stated.is_some_and(|stated| stated != (width, height)) {
                return Err(format!("the mask has {width} x {height} pixels, the image another size"));
            }
            let mask = match rle.get("counts") {
                Some(Value::String(text)) => RleMask::from_compressed(width, height, text)?,
                Some(Value::Array(counts)) => {
                    let read = |count: &Value| count.as_u64().and_then(|count| u32::try_from(count).ok());
                    let counts: Option<Vec<u32>> = counts.iter().map(read).collect();
                    RleMask::from_counts(width, height, counts.ok_or("a run length is no whole number")?)?
                }
                _ => return Err("the run lengths have no `counts`".to_string()),
            };
            Ok(Some(mask))
        }
        Value::Array(_) => {
            let polygons = polygons(segmentation);
            Ok(stated
                .filter(|_| !polygons.is_empty())
                .and_then(|(width, height)| outline::union(width, height, &polygons)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<([f64; 4], Option<RleMask>), String> {
        marked(&serde_json::from_str(text).unwrap(), Frame::Pixels { width: 10, height: 9 })
    }

    #[test]
    fn polygon_stands_in_for_a_missing_box() {
        let with_box = r#"{"image_id": 1, "category_id": 1, "bbox": [10, 20, 5.5, 6], "iscrowd": 0}"#;
        assert_eq!(read(with_box).unwrap().0, [10.0, 20.0, 15.5, 26.0]);
        let polygons = r#"{"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 9, 4, 5, 8], [0, 7, 1, 7, 1, 8]]}"#;
        assert_eq!(read(polygons).unwrap().0, [0.0, 2.0, 9.0, 8.0]);
        assert!(read(r#"{"image_id": 1, "category_id": 1}"#).unwrap().0[0].is_nan());
    }

    #[test]
    fn run_lengths_are_read_in_both_spellings() {
        let plain = r#"{"image_id": 1, "category_id": 1, "segmentation": {"size": [9, 10], "counts": [20, 3, 6, 3, 58]}, "iscrowd": 1}"#;
        let (edges, mask) = read(plain).unwrap();
        assert_eq!((edges, mask.as_ref().unwrap().area()), ([2.0, 2.0, 4.0, 5.0], 6));
        let compressed = format!(
            r#"{{"image_id": 1, "category_id": 1, "segmentation": {{"size": [9, 10], "counts": "{}"}}}}"#,
            mask.as_ref().unwrap().compressed().replace('\\', "\\\\")
        );
        assert_eq!(read(&compressed).unwrap(), (edges, mask));
    }

    #[test]
    fn run_lengths_that_do_not_fit_are_refused() {
        for (segmentation, reason) in [
            (r#"{"size": [9, 10], "counts": [20, 3]}"#, "cover 23 pixels"),
            (r#"{"size": [10, 9], "counts": [90]}"#, "another size"),
            (r#"{"counts": [90]}"#, "no `size`"),
            (r#"{"size": [9, 10], "counts": [-1, 91]}"#, "no whole number"),
            (r#"{"size": [9, 10]}"#, "no `counts`"),
        ] {
            let text = format!(r#"{{"image_id": 1, "category_id": 1, "segmentation": {segmentation}}}"#);
            assert!(read(&text).unwrap_err().contains(reason), "{segmentation}");
        }
    }
}
