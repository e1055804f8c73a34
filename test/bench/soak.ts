export async function soak(): Promise<void> {}
