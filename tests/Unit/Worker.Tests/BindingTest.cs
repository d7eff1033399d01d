using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Sluice.Testing;
using Sluice.Worker.Batching;
using Sluice.Worker.Devices;
using Sluice.Worker.Models;
using Sluice.Worker.Requests;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests bound runs in this process. The GPU path uses the CPU's allocator as device memory and a copy that counts its
/// calls; the calls of CUDA are tested against a stub library.
/// </summary>
public sealed class BindingTest : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-binding-").FullName;
    private readonly CountedCopy copy = new();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(false, "1 2 3 5")]
    [InlineData(true, "1 2 4 8")]
    public void Staged_runs_return_the_same_outputs_and_copy_only_their_rows(bool graph, string sizes)
    {
        using var model = Load(TinyModel.Add("FP32", -1, 4));
        using var memory = SessionMemory.Create(model.Session, "cpu", 0);
        using var device = new DeviceTensors(model, OrtAllocator.DefaultInstance, copy, graph);
        using var binding = new ModelBinding(new BindingPlan(TensorBinding.Staged, graph), memory, device);
        using var tensors = new StackedTensors(model, binding, model.Inputs.Select(model.RowShape), model.MaxBatch);
        var ran = new List<long>();
        foreach (var (rows, first) in new[] { (1, 0), (2, 3), (3, 1), (5, 2), (1, 7) })
        {
            copy.Bytes = 0;
            Check(model, tensors, first, rows);
            Assert.Equal(rows * 16 * 3, copy.Bytes);
            ran.Add(graph ? BindingPlan.Bucket(rows, 8) : rows);
        }

        Assert.Equal(sizes, string.Join(' ', ran.Distinct()));
    }

    [Fact]
    public void A_binding_with_wrong_outputs_is_rejected_with_a_reason()
    {
        using var model = Load(TinyModel.Add("FP32", -1, 4));
        using var memory = SessionMemory.Create(model.Session, "cpu", 0);
        copy.Forgets = true;
        BindingPlan[] plans = [new(TensorBinding.Staged), new(TensorBinding.EachRun), new(TensorBinding.None)];
        // The CPU has no device memory.
        using var none = BindingChoice.SelectFirstWorking(model, plans, memory, () => copy);
        Assert.Equal(TensorBinding.EachRun, none.Plan.How);
        Assert.StartsWith("for each run (staging on the device failed: ", none.ToString(), StringComparison.Ordinal);
        using var device = new DeviceTensors(model, OrtAllocator.DefaultInstance, copy, graph: false);
        using var forgetful = new ModelBinding(plans[0], memory, device);
        Assert.Equal("returned another 'sum' than an unbound run", BindingChoice.FindMismatch(model, forgetful));
        copy.Forgets = false;
        Assert.Null(BindingChoice.FindMismatch(model, forgetful));
    }

    [Fact]
    public void A_required_graph_that_is_not_possible_is_an_error()
    {
        using var model = Load(TinyModel.Add("FP32", -1, 4));
        using var memory = SessionMemory.Create(model.Session, "cpu", 0);
        var error = Assert.Throws<NotSupportedException>(() =>
            BindingChoice.SelectFirstWorking(
                model,
                [new(TensorBinding.Staged, Graph: true)],
                memory,
                () => throw new NotSupportedException("no libcudart")));
        Assert.StartsWith("a CUDA graph failed: ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Requests_of_a_model_with_fixed_shapes_share_buffers()
    {
        using var model = Load(TinyModel.Add("FP32", 1, 4));
        model.WarmUp();
        Assert.Equal((false, true, TensorBinding.InPlace), (model.Batches, model.Pooled, model.Binding.Plan.How));
        foreach (var number in new[] { 1, 2 })
        {
            var request = InferRequestReader.Read(model, System.Text.Encoding.UTF8.GetBytes(
                $$"""{"inputs":[{{Input("a", number)}},{{Input("b", number)}}]}"""), default);
            using var answer = await model.Scheduler.RunAsync(request, default);
            var output = answer.Output(model.Outputs[0]);
            Assert.Equal([1, 4], output.Shape);
            Assert.Equal(
                [2f * number, 2f * number, 2f * number, 2f * number],
                MemoryMarshal.Cast<byte, float>(output.Raw).ToArray());
        }

        static string Input(string name, int number) =>
            $$"""{"name":"{{name}}","datatype":"FP32","shape":[1,4],"data":"""
            + $$"""[{{number}},{{number}},{{number}},{{number}}]}""";
    }

    [Theory]
    [InlineData("BYTES", "'in' is BYTES")]
    [InlineData("FP32", "the shape of 'in' is [-1]")]
    public void A_model_with_variable_shapes_is_not_bound_and_reports_the_reason(string type, string why)
    {
        using var model = Load(type == "BYTES" ? TinyModel.Identity(type, 1) : TinyModel.Softmax());
        Assert.False(model.Pooled);
        Assert.StartsWith(
            $"no ({why.Replace("'in'", "'out'", StringComparison.Ordinal)}",
            model.Binding.ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void An_unavailable_device_memory_is_named()
    {
        using var model = Load(TinyModel.Add("FP32", -1, 4));
        using var memory = SessionMemory.Create(model.Session, "cuda", 0);
        Assert.Equal((false, null), (memory.Pinned, memory.Device));
        Assert.Contains("no CudaPinned memory (", memory.Lacks, StringComparison.Ordinal);
        Assert.Contains("no Cuda memory (", memory.Lacks, StringComparison.Ordinal);
        Assert.Same(OrtAllocator.DefaultInstance, memory.Host);
    }

    [Fact]
    public async Task Cuda_copies_use_the_right_direction_and_device_and_report_failures()
    {
        var library = await StubAsync("""
            #include <string.h>
            int device = -1, direction = 0;
            int cudaSetDevice(int n) { if (n > 3) return 101; device = n; return 0; }
            int cudaMemcpy(void* to, const void* from, size_t bytes, int kind) {
                direction = kind;
                if (bytes == 13) return 700;
                memcpy(to, from, bytes);
                return 0;
            }
            """);
        nint from = Marshal.StringToHGlobalAnsi("0123456789012345"), to = Marshal.AllocHGlobal(16);
        var cuda = new CudaCopy(library, [folder], device: 2);
        cuda.ToDevice(to, from, 16);
        Assert.Equal("0123456789012345", Marshal.PtrToStringAnsi(to, 16));
        Assert.Equal((2, 1), (Value("device"), Value("direction")));
        cuda.ToHost(from, to, 4);
        Assert.Equal(2, Value("direction"));
        Assert.Contains(
            "CUDA failure 700 of cudaMemcpy",
            Assert.Throws<InvalidOperationException>(() => cuda.ToHost(from, to, 13)).Message,
            StringComparison.Ordinal);
        Assert.Contains("CUDA failure 101 of cudaSetDevice",
            Assert.Throws<InvalidOperationException>(
                () => new CudaCopy(library, [folder], device: 9).ToHost(from, to, 4)).Message,
            StringComparison.Ordinal);
        var missing = new GpuLibrary("libnone-cudart.so.13", "");
        Assert.Contains("cannot open shared object file",
            Assert.Throws<NotSupportedException>(() => new CudaCopy(missing, [folder], 0)).Message,
            StringComparison.Ordinal);
        Marshal.FreeHGlobal(from);
        Marshal.FreeHGlobal(to);

        int Value(string name) => Marshal.ReadInt32(
            NativeLibrary.GetExport(NativeLibrary.Load(Path.Combine(folder, library.File)), name));
    }

    [Fact]
    public async Task Runs_with_graphs_use_one_thread_and_report_errors_to_callers()
    {
        using var thread = new RunThread();
        var seen = new System.Collections.Concurrent.ConcurrentBag<int>();
        await Task.WhenAll(
            Enumerable.Range(0, 20).Select(
                _ => Task.Run(() => thread.Run(() => seen.Add(Environment.CurrentManagedThreadId)))));
        Assert.Equal(20, seen.Count);
        Assert.Single(seen.Distinct());
        Assert.DoesNotContain(Environment.CurrentManagedThreadId, seen);
        Assert.Equal(
            "mine",
            Assert.Throws<InvalidDataException>(
                () => thread.Run(() => throw new InvalidDataException("mine"))).Message);
        thread.Run(() => seen.Add(0));
        Assert.Equal(21, seen.Count);
    }

    private static void Check(LoadedModel model, StackedTensors tensors, int first, int rows)
    {
        var made = model.Inputs.Select(i => SyntheticInputs.Create(i, first, rows)).ToList();
        using var expected = model.RunOnce(made);
        using var options = new RunOptions();
        tensors.Fill(made, rows);
        tensors.Run(options, rows);
        var output = tensors.Output(model.Outputs[0], 0, rows);
        Assert.Equal(
            expected[0].GetTensorDataAsSpan<float>().ToArray(),
            MemoryMarshal.Cast<byte, float>(output.Raw).ToArray());
        foreach (var value in made) value.Dispose();
    }

    private LoadedModel Load(byte[] bytes)
    {
        TinyModel.Put(folder, "m", bytes);
        var path = Path.Combine(folder, "m", "1", "model.onnx");
        return new LoadedModel(
            "m",
            "1",
            new ModelFile(path, path, false),
            new ExecutionProviders(["cpu"]),
            new ExecutionSlots(1),
            new BatchLimits(8));
    }

    private async Task<GpuLibrary> StubAsync(string source)
    {
        var library = new GpuLibrary($"libcudart-stub-{Guid.NewGuid():N}.so.13", "stub");
        await File.WriteAllTextAsync(Path.Combine(folder, "stub.c"), source);
        string[] arguments =
            ["-shared", "-fPIC", Path.Combine(folder, "stub.c"), "-o", Path.Combine(folder, library.File)];
        using var gcc = Process.Start(new ProcessStartInfo("gcc", arguments) { RedirectStandardError = true })!;
        var said = await gcc.StandardError.ReadToEndAsync();
        await gcc.WaitForExitAsync();
        Assert.True(gcc.ExitCode == 0, said);
        return library;
    }

    private sealed class CountedCopy : DeviceCopy
    {
        public long Bytes { get; set; }

        /// <summary>Copies only the first time, like a binding that reads stale memory.</summary>
        public bool Forgets { get; set; }

        private readonly HashSet<nint> seen = [];

        public override void ToDevice(nint device, nint host, long bytes)
        {
            if (Forgets && !seen.Add(device)) return;
            ToHost(device, host, bytes);
        }

        public override void ToHost(nint host, nint device, long bytes)
        {
            Bytes += bytes;
            var between = new byte[bytes];
            Marshal.Copy(device, between, 0, between.Length);
            Marshal.Copy(between, 0, host, between.Length);
        }
    }
}
