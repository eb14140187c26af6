//! What holds for every page.

use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::{Flames, Layer};

/// Bytes of a page at most.
const LARGEST: usize = 1_000_000;

/// All the mark-up of a page: nothing of it loads, runs or sends anything.
const ELEMENTS: [&str; 35] = [
    "b",
    "body",
    "circle",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "head",
    "header",
    "html",
    "li",
    "main",
    "meta",
    "p",
    "path",
    "rect",
    "small",
    "span",
    "strong",
    "style",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "g",
];

/// What is wrong with a page, if something is: it is well-formed, stands alone, and is small.
pub(in crate::report) fn fault(page: &str) -> Option<String> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(page, options) {
        Ok(document) => document,
        Err(error) => return Some(format!("it is not well-formed: {error}")),
    };
    if page.len() > LARGEST {
        return Some(format!("it has {} bytes", page.len()));
    }
    document.descendants().filter(Node::is_element).find_map(fault_of)
}

/// A page without what is the same on all.
pub(in crate::report) fn body(page: &str) -> &str {
    page.split_once("<body>").map_or(page, |(_, body)| body)
}

fn fault_of(element: Node<'_, '_>) -> Option<String> {
    let name = element.tag_name().name();
    if !ELEMENTS.contains(&name) {
        return Some(format!("it has an element {name}"));
    }
    if name == "style" {
        let style = element.text().unwrap_or_default();
        return ["url(", "@import", "//"]
            .into_iter()
            .find(|word| style.contains(word))
            .map(|word| format!("its style has {word}"));
    }
    let refers =
        |name: &str| ["href", "src", "srcset", "style"].contains(&name) || name.starts_with("on");
    let attribute = element.attributes().find(|attribute| refers(attribute.name()))?;
    Some(format!("{name} has an attribute {}", attribute.name()))
}

/// Functions, and the bytes that were copied in them.
fn stacks() -> impl Strategy<Value = Vec<(Vec<(Layer, String)>, u64)>> {
    let function = ("[a-c]", proptest::sample::select(vec![Layer::User, Layer::Kernel]));
    let function = function.prop_map(|(name, layer)| (layer, name));
    let path = proptest::collection::vec(function, 1..6);
    proptest::collection::vec((path, 0..1000u64), 0..20)
}

proptest! {
    #[test]
    fn a_flame_graph_is_as_wide_as_what_was_copied(stacks in stacks()) {
        let all: u64 = stacks.iter().map(|(_, bytes)| bytes).sum();
        let flames = Flames::of(stacks.clone().into_iter());
        prop_assert_eq!(flames.is_some(), all > 0);
        let Some(flames) = flames else { return Ok(()) };
        let text = flames.to_string();
        let svg = Document::parse(&text)?;
        let percent = |node: &Node<'_, '_>, name| -> f64 {
            node.attribute(name).unwrap().trim_end_matches('%').parse().unwrap()
        };
        let lowest = svg.root_element().attribute("height").unwrap().parse::<usize>().unwrap() - 20;
        let mut widths = 0.0;
        for it in svg.root_element().children().filter(Node::is_element) {
            prop_assert!(percent(&it, "x") + percent(&it, "width") < 100.01);
            if it.attribute("y").unwrap().parse::<usize>().unwrap() == lowest {
                widths += percent(&it, "width");
            }
        }
        prop_assert!((widths - 100.0).abs() < 2.0, "{} of {}", widths, text);
    }
}

#[test]
fn a_flame_graph_has_room_for_any_stacks() {
    let deep = |last: u32| {
        (0..400)
            .map(|level| (Layer::User, format!("f{level}")))
            .chain([(Layer::Kernel, format!("g{last}"))])
    };
    let stacks = (0..5000).map(|last| (deep(last).skip(last as usize % 300).collect(), 10));
    let text = Flames::of(stacks).unwrap().to_string();
    assert!(text.len() < LARGEST / 2, "{} bytes", text.len());
    assert_eq!(Document::parse(&text).err(), None);
}
