/** The types of pages. */
import type { Component } from 'svelte';
import type { Params } from './match';

/** It gets the values in its path, and need not take them. */
export type PageComponent = Component<{ params: Params }> | Component<Record<string, never>>;

export type LoadPage = () => Promise<{ default: PageComponent }>;
