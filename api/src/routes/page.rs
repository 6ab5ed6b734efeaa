//! Lists that are read page by page.

use herald_store::Page;

/// The items of a page, and the cursor to read on with: that of the last item, if there are more.
pub(crate) fn items<T, C>(page: Page<T>, cursor: impl Fn(&T) -> C) -> (Vec<T>, Option<C>) {
    let next = page.items.last().filter(|_| page.more).map(cursor);
    (page.items, next)
}

/// A page of at most `limit` of the `items`, which were read with a limit one higher, and the cursor to read on with:
/// that of the last item, if there are more.
pub(crate) fn cut<T, C>(
    mut items: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> C,
) -> (Vec<T>, Option<C>) {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_given_only_if_something_follows() {
        assert_eq!(cut(vec![1, 2, 3], 2, |n| *n), (vec![1, 2], Some(2)));
        assert_eq!(cut(vec![1, 2], 2, |n| *n), (vec![1, 2], None));
        assert_eq!(cut(Vec::<i32>::new(), 2, |n| *n), (vec![], None));
    }
}
