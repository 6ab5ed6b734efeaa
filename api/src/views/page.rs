//! Lists that are read page by page.

use herald_store::Page;

use crate::fields::NextPageToken;

/// The items of a page, and the page token of the next one: that of the last item, if there are more.
pub(crate) fn items<T>(
    page: Page<T>,
    token: impl Fn(&T) -> String,
) -> (Vec<T>, Option<NextPageToken>) {
    let last = page.items.last().filter(|_| page.more);
    let next = last.map(token).map(NextPageToken);
    (page.items, next)
}

/// A page of at most `limit` of the `items`, which were read with a limit one higher, and the page token of the
/// next one: that of the last item, if there are more.
pub(crate) fn cut<T>(
    mut items: Vec<T>,
    limit: u32,
    token: impl Fn(&T) -> String,
) -> (Vec<T>, Option<NextPageToken>) {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next = last.map(token).map(NextPageToken);
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_given_only_if_something_follows() {
        let cut = |items| {
            let (items, next) = cut(items, 2, i32::to_string);
            (items, next.map(|NextPageToken(token)| token))
        };
        assert_eq!(cut(vec![1, 2, 3]), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(cut(vec![1, 2]), (vec![1, 2], None));
        assert_eq!(cut(vec![]), (vec![], None));
    }
}
