using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Sluice.Testing;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Tests.Providers;

/// <summary>A real device provider without a GPU: WebGPU over Mesa's software Vulkan device, in the real worker.</summary>
[Trait("Needs", "publish")]
public sealed class WebGpuTest
{
    private static readonly Dictionary<string, string?> Environment_ = new(WebGpu.Environment) { ["SLUICE_MODELS"] = "digits" };

    [Fact]
    public async Task Digits_runs_on_webgpu_with_its_nodes_counted_and_answers_as_the_cpu_does()
    {
        Require.Available(WebGpu.WhyNot);
        await using var worker = await StartAsync(Repository.Models, Environment_);
        Assert.Matches(@"Model digits placed on webgpu (\d+)/\1 \(100 %\)", await worker.Process.LineAsync("placed on "));

        using var session = new InferenceSession(Path.Combine(Repository.Models, "digits", "1", "model.onnx"));
        var (name, shape) = (session.InputNames[0], session.InputMetadata[session.InputNames[0]].Dimensions.Select(d => Math.Max(d, 1)).ToArray());
        var data = Enumerable.Range(0, shape.Aggregate(1, (a, b) => a * b)).Select(i => i % 7 / 7f).ToArray();
        using var answer = await worker.Client.PostAsJsonAsync("/v2/models/digits/infer",
            new { inputs = new[] { new { name, datatype = "FP32", shape, data } } });
        var outputs = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["outputs"]!.AsArray();

        using var input = OrtValue.CreateTensorValueFromMemory(data, [.. shape.Select(d => (long)d)]);
        using var run = new RunOptions();
        using var expected = session.Run(run, [name], [input], session.OutputNames);
        for (var i = 0; i < expected.Count; i++)
        {
            if (expected[i].GetTensorTypeAndShape().ElementDataType != Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float) continue;
            var got = outputs.Single(o => (string?)o!["name"] == session.OutputNames[i])!["data"]!.AsArray().Select(n => (float)n!).ToArray();
            var want = expected[i].GetTensorDataAsSpan<float>().ToArray();
            Assert.All(got.Zip(want), p => Assert.Equal(p.Second, p.First, 1e-4f));
        }
    }

    [Fact]
    public async Task Requests_one_after_the_other_get_their_own_answers()
    {
        Require.Available(WebGpu.WhyNot);
        // ONNX Runtime copies an input to the device when it is bound: buffers that stay bound would answer everyone with the first one's.
        await using var worker = await StartAsync(Repository.Models, Environment_);
        var config = JsonNode.Parse(await worker.Client.GetStringAsync("/v2/models/digits/config"))!["parameters"]!;
        Assert.Equal(("for each run", "false"), ((string?)config["bound"]!["string_value"], (string?)config["cuda_graph"]!["string_value"]));
        using var session = new InferenceSession(Path.Combine(Repository.Models, "digits", "1", "model.onnx"));
        foreach (var seed in new[] { 1, 2, 3 })
        {
            var pixels = Enumerable.Range(0, 784).Select(i => ((i * seed) + seed) % 11 / 11f).ToArray();
            using var answer = await worker.Client.PostAsJsonAsync("/v2/models/digits/infer",
                new { inputs = new[] { new { name = "image", datatype = "FP32", shape = new[] { 1, 1, 28, 28 }, data = pixels } } });
            var logits = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["outputs"]![0]!["data"]!.AsArray().Select(n => (float)n!).ToArray();
            using var input = OrtValue.CreateTensorValueFromMemory(pixels, [1, 1, 28, 28]);
            using var run = new RunOptions();
            using var expected = session.Run(run, ["image"], [input], ["logits"]);
            Assert.All(logits.Zip(expected[0].GetTensorDataAsSpan<float>().ToArray()), p => Assert.Equal(p.Second, p.First, 1e-3f));
        }
    }

    [Fact]
    public async Task Text_is_generated_on_the_device_and_is_the_same_as_the_cpus()
    {
        Require.Available(WebGpu.WhyNot);
        const string body = """{"text_input":"Once upon a time","parameters":{"max_tokens":24,"temperature":0,"ignore_eos":true}}""";
        var folder = Directory.CreateTempSubdirectory("sluice-decoder-").FullName;
        TinyModel.Put(folder, "story", TinyDecoder.Bytes());
        var environment = new Dictionary<string, string?>(Environment_) { ["SLUICE_MODELS"] = "story" };
        await WebGpu.CompileAsync(folder, environment);
        await using var device = await StartAsync(folder, environment);
        Assert.Matches("Model story placed on .*webgpu", await device.Process.LineAsync("placed on "));
        await using var cpu = await StartAsync(folder);
        Assert.Equal(await TextAsync(cpu), await TextAsync(device));
        Directory.Delete(folder, recursive: true);

        static async Task<string> TextAsync(WorkerProcess worker)
        {
            using var answer = await worker.Client.PostAsync("/v2/models/story/generate", new StringContent(body));
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, text);
            return (string)JsonNode.Parse(text)!["text_output"]!;
        }
    }

    [Fact]
    public async Task Nodes_on_the_cpu_can_be_forbidden()
    {
        Require.Available(WebGpu.WhyNot);
        await using var worker = WorkerProcess.Launch(Repository.Models, new Dictionary<string, string?>(Environment_)
        {
            // An option of the provider leaves the first node, a convolution, to the CPU; ONNX Runtime adds a reordering there.
            ["SLUICE_WEBGPU_OPTIONS"] = "forceCpuNodeNames=" + NodeNames()[0], ["SLUICE_ALLOW_CPU_NODES"] = "0",
        }, Repository.WebGpuWorker);
        Assert.Equal(3, await worker.ExitAsync());
        await worker.LineAsync(l => System.Text.RegularExpressions.Regex.IsMatch(l,
            @"model digits: \d of \d+ nodes run on the CPU \(Conv 1[^)]*\), which SLUICE_ALLOW_CPU_NODES=0 forbids"), "the refusal with its counts");
    }

    [Fact]
    public async Task The_doctor_runs_a_model_on_webgpu()
    {
        Require.Available(WebGpu.WhyNot);
        await using var doctor = new ChildProcess(Repository.WebGpuWorker, ["doctor"], Environment_);
        Assert.Equal(0, await doctor.ExitAsync());
        Assert.Contains("WebGPU will serve.", await doctor.LineAsync("will serve"), StringComparison.Ordinal);
        Assert.Matches(@"run on webgpu +right, \d+ ms", doctor.Output);
    }

    private static Task<WorkerProcess> StartAsync(string folder, Dictionary<string, string?>? environment = null) =>
        WorkerProcess.StartAsync(folder, environment, Repository.WebGpuWorker);

    private static string[] NodeNames() => [.. ModelPlacementTest.Placement(new Worker.Runtime.ExecutionProviders(["cpu"]),
        Path.Combine(Repository.Models, "digits", "1", "model.onnx")).Placed.Select(n => n.Name)];
}
