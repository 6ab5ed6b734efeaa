/** Light, dark, or as the system: kept in this browser. */

export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'herald-theme';

class Theme {
  choice = $state<ThemeChoice>('system');

  constructor() {
    const kept = localStorage.getItem(KEY);
    if (kept === 'light' || kept === 'dark') this.choose(kept);
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    if (choice === 'system') {
      localStorage.removeItem(KEY);
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem(KEY, choice);
      document.documentElement.dataset.theme = choice;
    }
  }
}

export const theme = new Theme();
