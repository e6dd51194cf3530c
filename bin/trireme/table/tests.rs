//! Tables at every width, with what nobody expects in them.

use super::*;

fn table() -> Table {
    let columns = [
        Column::new("ID"),
        Column::text("NAME").left_out(4),
        Column::new("STATUS"),
        Column::new("STARTED").left_out(2),
        Column::new("AGENT").left_out(3),
        Column::text("ERROR").left_out(5),
        Column::new("NOTHING").left_out(6),
        Column::new("HOST").left_out(1),
    ];
    let mut table = Table::new(columns);
    for (id, name, error) in [
        ("1.0", "a short one", ""),
        ("1.1", "a name that is longer than all of the others", "it \x1b[31mfailed\nin two lines, and at some length"),
    ] {
        let [status, started, agent, host] = ["COMPLETED", "2025-11-22T08:26:40.100Z", "executor-1", "here"];
        table.row([id, name, status, started, agent, error, "", host].map(String::from));
    }
    table
}

fn widest(text: &str) -> usize {
    text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
}

fn titles(fitted: &Fitted) -> Vec<&str> {
    fitted.text.lines().next().unwrap_or_default().split_whitespace().collect()
}

#[test]
fn elsewhere_than_on_a_terminal_nothing_is_cut() {
    let Fitted { text, left_out } = table().fit(None);
    assert!(left_out.is_empty() && !text.contains('…'));
    assert!(text.contains("a name that is longer than all of the others"), "{text}");
    assert!(text.contains("it \\u{1b}[31mfailed\\nin two lines, and at some length"), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn a_table_is_never_wider_than_its_terminal_and_names_its_rows_and_how_they_stand() {
    for width in 17..250 {
        let fitted = table().fit(Some(width));
        assert!(widest(&fitted.text) <= width, "{width}:\n{}", fitted.text);
        let titles = titles(&fitted);
        assert!(titles.contains(&"ID") && titles.contains(&"STATUS"), "{width}: {titles:?}");
        assert!(fitted.text.contains("1.1") && fitted.text.contains("COMPLETED"), "{width}:\n{}", fitted.text);
        let (shown, not): (Vec<&str>, Vec<&str>) =
            ["HOST", "STARTED", "AGENT", "NAME", "ERROR"].iter().partition(|title| titles.contains(title));
        assert_eq!(BTreeSet::from_iter(fitted.left_out), BTreeSet::from_iter(not.clone()), "{width}");
        let in_order: Vec<&str> = not.into_iter().chain(shown).collect();
        assert_eq!(in_order, ["HOST", "STARTED", "AGENT", "NAME", "ERROR"], "{width}: left out in another order");
    }
}

#[test]
fn where_even_what_is_never_left_out_has_no_room_it_is_whole() {
    let fitted = table().fit(Some(5));
    assert_eq!(fitted.text, " ID   STATUS\n 1.0  COMPLETED\n 1.1  COMPLETED");
}

#[test]
fn where_there_is_room_nothing_gives_way() {
    assert_eq!(table().fit(Some(250)), table().fit(None));
}

#[test]
fn the_widest_text_is_shortened_first_and_before_a_column_is_left_out() {
    let whole = widest(&table().fit(None).text);
    let fitted = table().fit(Some(whole - 1));
    assert!(fitted.left_out.is_empty());
    assert!(fitted.text.contains("a name that is longer than all of the others"), "the shorter one is whole");
    assert!(fitted.text.contains("it \\u{1b}[31mfailed\\nin two lines, and at some leng…"), "{}", fitted.text);
}

/// The column without a word goes first, whatever its place in the order, and is not worth a word.
#[test]
fn a_column_with_nothing_in_it_goes_first() {
    let widths = 17..250;
    let first = widths.rev().map(|width| table().fit(Some(width))).find(|fitted| !titles(fitted).contains(&"NOTHING"));
    let first = first.expect("it goes at some width");
    assert!(first.left_out.is_empty() && titles(&first).contains(&"HOST"), "{first:?}");
}

#[test]
fn text_is_cut_by_the_columns_that_it_takes_and_not_within_a_character() {
    for (text, width, expected) in [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("ab  cd", 4, "ab…"),
        ("日本語です", 10, "日本語です"),
        ("日本語です", 9, "日本語で…"),
        ("日本語です", 8, "日本語…"),
        ("e\u{301}e\u{301}e\u{301}", 3, "e\u{301}e\u{301}e\u{301}"),
        ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3, "👩‍👩‍👧‍👦…"),
        ("abc", 0, "…"),
    ] {
        assert_eq!(shorten(text, width), expected, "{text} in {width}");
    }
}

#[test]
fn wide_characters_count_as_what_they_take() {
    let mut table = Table::new([Column::new("ID"), Column::text("NAME"), Column::new("STATUS")]);
    table.row(["1".into(), "日本語の名前はとても長い".into(), "BUSY".into()]);
    for width in 25..50 {
        let fitted = table.fit(Some(width));
        assert!(widest(&fitted.text) <= width, "{width}:\n{}", fitted.text);
    }
}

#[test]
fn a_list_breaks_its_values_into_lines_and_loses_nothing() {
    let mut table = Table::list();
    let error = "subtask `b` failed: the disk is full, and there is nothing that could be removed from it";
    let id = "aaaabbbb-0000-4000-8000-000000000001";
    table.row(["project".into(), id.into()]);
    table.row(["error".into(), error.into()]);
    for width in [30, 60, 80, 200] {
        let Fitted { text, left_out } = table.fit(Some(width));
        assert!(widest(&text) <= width && left_out.is_empty(), "{width}:\n{text}");
        let words = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(words(&text), words(&format!("project {id} error {error}")), "{width}");
    }
    assert!(table.fit(Some(200)).text.ends_with(error) && table.fit(None).text.ends_with(error));
}
