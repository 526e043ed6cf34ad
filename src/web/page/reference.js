// Runs a plan in plain JavaScript.

export class Reference {
  constructor() {
    throw new Error("this browser has no WebGPU");
  }
}
