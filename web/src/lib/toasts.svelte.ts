/** Short messages that disappear by themselves. */

export interface Toast {
  id: number;
  text: string;
  kind: 'good' | 'bad';
}

/** How many are shown at once. */
const SHOWN = 3;
const GOOD_MS = 4000;
const BAD_MS = 8000;

class Toasts {
  items = $state.raw<Toast[]>([]);
  /** Where toasts may be shown, the topmost last: a dialog hides the page below it, from screen readers too. */
  places = $state.raw<readonly symbol[]>([]);
  #next = 0;

  good(text: string): void {
    this.#show(text, 'good', GOOD_MS);
  }

  bad(text: string): void {
    this.#show(text, 'bad', BAD_MS);
  }

  dismiss(id: number): void {
    this.items = this.items.filter((toast) => toast.id !== id);
  }

  /** Shows toasts at `place`, above the others, until the returned function is called. */
  open(place: symbol): () => void {
    this.places = [...this.places, place];
    return () => {
      this.places = this.places.filter((other) => other !== place);
    };
  }

  #show(text: string, kind: Toast['kind'], ms: number): void {
    const id = this.#next++;
    this.items = [...this.items, { id, text, kind }].slice(-SHOWN);
    setTimeout(() => {
      this.dismiss(id);
    }, ms);
  }
}

export const toasts = new Toasts();
