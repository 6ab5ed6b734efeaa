/** The broker did not let one connect or subscribe. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** MQTT 5, section 2.4. */
  readonly code: number;

  constructor(code: number) {
    super(`refused: ${code}`);
    this.code = code;
  }

  /** What an error of MQTT.js says. */
  static of(error: unknown): Refused | undefined {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Errors of the network have codes of text.
    return typeof code === 'number' && code >= 0x80 ? new Refused(code) : undefined;
  }
}
