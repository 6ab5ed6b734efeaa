//! Lists that are read page by page.

use herald_store::Page;

use crate::fields::Next;

/// The items of a page, and the cursor to read on with: that of the last item, if there are more.
pub(crate) fn items<T>(page: Page<T>, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<Next>) {
    let last = page.items.last().filter(|_| page.more);
    let next = last.map(cursor).map(Next);
    (page.items, next)
}

/// A page of at most `limit` of the `items`, which were read with a limit one higher, and the cursor to read on with:
/// that of the last item, if there are more.
pub(crate) fn cut<T>(
    mut items: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<Next>) {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next = last.map(cursor).map(Next);
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_given_only_if_something_follows() {
        let cut = |items| {
            let (items, next) = cut(items, 2, i32::to_string);
            (items, next.map(|Next(cursor)| cursor))
        };
        assert_eq!(cut(vec![1, 2, 3]), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(cut(vec![1, 2]), (vec![1, 2], None));
        assert_eq!(cut(vec![]), (vec![], None));
    }
}
