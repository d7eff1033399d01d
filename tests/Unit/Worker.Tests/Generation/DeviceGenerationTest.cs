using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Generation;
using Sluice.Worker.Models;
using Sluice.Worker.Runtime;
using Sluice.Worker.Serving;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests.Generation;

/// <summary>
/// Tests the back ends of text generation in the real worker, on WebGPU over a software Vulkan device. The texts are
/// those of rows on the CPU, with the same weights and the same precision.
/// </summary>
[Trait("Needs", "publish")]
public sealed class DeviceGenerationTest : IDisposable
{
    private const string Long = "the quick brown fox jumps over the lazy dog and runs into the dark forest at night";

    /// <summary>
    /// Least difference of the logarithms of two probabilities. Rounding to 16 bits changes them by about 0.003.
    /// </summary>
    private const float Margin = 0.02f;

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-paged-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(true, false, null)]
    [InlineData(true, true, null)]
    [InlineData(true, false, "off")]
    [InlineData(false, false, null)]
    public async Task Texts_are_those_of_rows_on_the_cpu_alone_and_together(bool paged, bool bounds, string? prefixes)
    {
        Require.Available(WebGpu.WhyNot);
        // Rows are slow there, because each length has its own shaders. Texts of similar lengths share most of them.
        var texts = await OnCpuAsync(
            new Random(1), paged ? 12 : 4, longest: paged ? 60 : 5, tokens: 12, half: paged);
        Put(new DecoderModel { Paged = paged, Bounds = bounds, OnlyLast = bounds });
        await using var device = await StartAsync("SLUICE_PREFIX_CACHE", prefixes);
        Assert.Equal(texts[0].Expected, await TextAsync(device, texts[0].Body));
        Assert.Equal(texts.Select(t => t.Expected), await Task.WhenAll(texts.Select(t => TextAsync(device, t.Body))));
        // Runs of the paged back end generate tokens of several texts. Texts with rows take turns on a device.
        if (paged)
            Assert.True(await CountAsync(device, "sluice_generation_batch_texts_sum")
                > await CountAsync(device, "sluice_generation_batch_texts_count"));
        // The first prompt is read twice, and most others begin as it does: blocks are shared, and the rest is copied.
        var shared = texts.Count(t => ((string)t.Body["text_input"]!).StartsWith(Long, StringComparison.Ordinal)) - 1;
        var cached = await CountAsync(device, "sluice_generation_cached_tokens_total");
        if (paged && prefixes is null) Assert.True(cached >= shared * Long.Length, $"{cached} tokens, {shared} texts");
        else if (paged) Assert.Equal(0, cached);
        Assert.Equal(0, await CountAsync(device, "sluice_generation_cache_tokens"));
    }

    [Fact]
    public async Task Texts_that_lose_their_blocks_continue_and_a_caller_that_leaves_frees_its_blocks()
    {
        Require.Available(WebGpu.WhyNot);
        var texts = await OnCpuAsync(new Random(2), 8, longest: 10, tokens: 70, half: true, prefix: "");
        Put(new DecoderModel { Paged = true, Context = 512 });
        // The smallest cache: 512 tokens, or 16 blocks. The texts need 24.
        await using var device = await StartAsync("SLUICE_KV_CACHE_BYTES", "1");
        Assert.Equal(texts.Select(t => t.Expected), await Task.WhenAll(texts.Select(t => TextAsync(device, t.Body))));
        Assert.True(await CountAsync(device, "sluice_generation_preemptions_total") > 0);
        using (var stop = new CancellationTokenSource())
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/device/generate_stream")
            {
                Content = JsonContent.Create(Body(Long, 400)),
                Version = System.Net.HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            using var answer = await device.Client.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, stop.Token);
            using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(stop.Token));
            Assert.Contains("text_output", await lines.ReadLineAsync(stop.Token), StringComparison.Ordinal);
            await stop.CancelAsync();
        }

        await Eventually.BecomesAsync(async () =>
                (await CountAsync(device, "sluice_generation_abandoned_total"),
                    await CountAsync(device, "sluice_generation_cache_tokens")), c => c == (1, 0), "the text has left");
    }

    [Fact]
    public void A_paged_model_is_refused_on_the_cpu_with_the_operator_and_the_providers_that_have_it()
    {
        foreach (var bounds in new[] { false, true })
        {
            Put(new DecoderModel { Paged = true, Bounds = bounds });
            Assert.StartsWith("its operator PagedAttention has no kernel on cpu; expected "
                + "SLUICE_EXECUTION_PROVIDERS=cuda (FP16 and BF16) or webgpu (FP16)",
                Assert.Throws<NotSupportedException>(() => OnCpu("device")).Message, StringComparison.Ordinal);
        }
    }

    private void Put(DecoderModel model) => TinyModel.Put(folder, "device", model.ToBytes());

    private Task<WorkerProcess> StartAsync(string setting, string? value) =>
        WebGpu.StartAsync(folder, "device", new Dictionary<string, string?> { [setting] = value });

    /// <summary>
    /// Generates texts on the CPU. Only those are used in which each token is clearly more likely than the next one, so
    /// that the rounding of another device does not change a token.
    /// </summary>
    private async Task<List<(JsonObject Body, string Expected)>> OnCpuAsync(
        Random random,
        int count,
        int longest,
        int tokens,
        bool half,
        string prefix = Long)
    {
        TinyModel.Put(folder, "rows", new DecoderModel { Half = half, Context = 512 }.ToBytes());
        using var model = OnCpu("rows");
        var texts = new List<(JsonObject, string)>();
        while (texts.Count < count)
        {
            var prompt = (random.Next(4) > 0 ? prefix : "") + new string(
                [.. Enumerable.Range(0, random.Next(1, longest)).Select(_ => (char)random.Next('a', 'z'))]);
            var (text, clear) = ("", true);
            await foreach (var piece in model.Generator!.GenerateAsync(Request(prompt, tokens), CancellationToken.None))
            {
                text += piece.Text;
                clear &= piece.Token!.Top[0].Logprob - piece.Token.Top[1].Logprob > Margin;
            }

            if (clear) texts.Add((Body(prompt, tokens), text));
        }

        return texts;
    }

    private LoadedModel OnCpu(string name)
    {
        var path = Path.Combine(folder, name, "1", "model.onnx");
        return new LoadedModel(name, "1", new ModelFile(path, path, false), new ExecutionProviders(["cpu"]),
            new ExecutionSlots(2), new BatchLimits(1, 1000));
    }

    private static async Task<string> TextAsync(WorkerProcess worker, JsonObject body)
    {
        using var answer = await worker.Client.PostAsJsonAsync("/v2/models/device/generate", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return (string)JsonNode.Parse(text)!["text_output"]!;
    }

    private static async Task<double> CountAsync(WorkerProcess worker, string metric)
    {
        var lines = (await worker.Client.GetStringAsync("/metrics")).Split('\n');
        var line = lines.Single(l => l.StartsWith(metric + "{", StringComparison.Ordinal));
        return double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    private static GenerationRequest Request(string text, int tokens) => new(
        null, text, tokens, Temperature: 0, TopK: 0, TopP: 1, Seed: 1, Stop: [], IgnoreEos: true, Details: true)
    {
        TopLogprobs = 2,
    };

    private static JsonObject Body(string text, int tokens) => new()
    {
        ["text_input"] = text,
        ["parameters"] = new JsonObject { ["max_tokens"] = tokens, ["temperature"] = 0, ["ignore_eos"] = true },
    };
}
