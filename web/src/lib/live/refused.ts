/** The broker refused a connection or a subscription. */
export class Refused extends Error {
  override readonly name = 'Refused';
  /** MQTT 5, section 2.4. */
  readonly code: number;

  constructor(code: number) {
    super(`refused: ${code}`);
    this.code = code;
  }

  /** Reads an error of MQTT.js. */
  static of(error: unknown): Refused | undefined {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Codes of network errors are strings.
    return typeof code === 'number' && code >= 0x80 ? new Refused(code) : undefined;
  }
}
