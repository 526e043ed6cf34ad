// Runs a plan on a WebGPU device: buffers, pipelines and bind groups are made once; then slots are written, ranges of
// calls run, and slots read.

// The shader of a call: the plain one for software, which compiles the others in seconds where this takes a moment.
const shaderOf = (call, software) => (software ? call.shaders[0] : call.shaders.at(-1));

// Pipelines of a device by shader and constants: plans of one network share many.
const made = new WeakMap();

function pipeline(device, call, shader, text) {
  const known = made.get(device) ?? new Map();
  made.set(device, known);
  const key = JSON.stringify([shader.name, call.constants]);
  if (!known.has(key)) {
    const visibility = GPUShaderStage.COMPUTE;
    const type = (writes) => ({ type: writes ? "storage" : "read-only-storage" });
    const entries = call.writes.map((writes, binding) => ({ binding, visibility, buffer: type(writes) }));
    const layout = device.createBindGroupLayout({ entries });
    const compiled = text(shader.name).then((code) => device.createComputePipelineAsync({
      label: shader.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: {
        module: device.createShaderModule({ label: shader.name, code }),
        entryPoint: "main",
        constants: call.constants,
      },
    }));
    known.set(key, compiled.then((pipeline) => ({ pipeline, layout })));
  }
  return known.get(key);
}

export class Runner {
  // Makes what a plan needs: `text` gives that of a shader by its name, `values` has the first values of slots by
  // theirs. Slots of parameters, states and inputs are those of `other`, where it has them too: what one writes, the
  // other has.
  static async make(device, plan, text, values, { software, other }) {
    const runner = new Runner();
    const isShared = (slot) => ["parameter", "state", "input"].includes(slot.role);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    const buffers = plan.buffers.map((size) => device.createBuffer({ size, usage }));
    for (const [name, { buffer, role }] of Object.entries(plan.slots)) {
      const known = other?.plan.slots[name];
      if (known && isShared(plan.slots[name]) && other.plan.buffers[known.buffer] === plan.buffers[buffer]) {
        buffers[buffer] = other.buffers[known.buffer];
      }
    }
    Object.assign(runner, { device, plan, buffers, encoder: null });
    for (const [name, array] of values) {
      if (name in plan.slots) runner.write(name, array);
    }
    runner.launches = await Promise.all(plan.calls.map(async (call) => {
      const shader = shaderOf(call, software);
      const { pipeline: own, layout } = await pipeline(device, call, shader, text);
      const entries = call.args.map((name, binding) => ({ binding, resource: runner.range(name) }));
      return { pipeline: own, bindGroup: device.createBindGroup({ layout, entries }), shader };
    }));
    for (const _ of [0, 1]) {
      const error = await device.popErrorScope();
      if (error) throw new Error(`the graphics device refuses the network: ${error.message}`);
    }
    return runner;
  }

  // The shaders of all calls, each once.
  get shaders() {
    return [...new Set(this.launches.map((launch) => launch.shader.name))];
  }

  // Where a slot lies.
  range(name) {
    const { element, dims, buffer, offset } = this.plan.slots[name];
    const bytes = dims.reduce((a, b) => a * b, 1) * (element === "f16" ? 2 : 4);
    return { buffer: this.buffers[buffer], offset, size: (bytes + 3) & ~3 };
  }

  // Writes a slot from its beginning on.
  write(name, array) {
    this.submit();
    const { buffer, offset } = this.range(name);
    this.device.queue.writeBuffer(buffer, offset, array);
  }

  // Runs the calls from `first` up to before `end`.
  run(first, end) {
    this.encoder ??= this.device.createCommandEncoder();
    const pass = this.encoder.beginComputePass();
    for (const { pipeline: own, bindGroup, shader } of this.launches.slice(first, end)) {
      pass.setPipeline(own);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...shader.grid);
    }
    pass.end();
  }

  // The values of a slot, once all that was begun is done.
  async read(name) {
    const { buffer, offset, size } = this.range(name);
    const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    this.encoder ??= this.device.createCommandEncoder();
    this.encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
    this.submit();
    await staging.mapAsync(GPUMapMode.READ);
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    return this.plan.slots[name].element === "u32" ? new Uint32Array(bytes) : new Float32Array(bytes);
  }

  submit() {
    if (this.encoder) this.device.queue.submit([this.encoder.finish()]);
    this.encoder = null;
  }
}
