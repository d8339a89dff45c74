declare module 'relay-compiler' {
  /** Path of the program for this machine. */
  const program: string
  export default program
}
