using System.Diagnostics;
using Microsoft.ML.OnnxRuntimeGenAI;

// ONNX Runtime GenAI with one batch at a time: its API for .NET has no continuous batching. The time is that of the
// generation alone, without HTTP. Usage: GenAi PORT MODEL_FOLDER
using var model = new Model(args[1]);
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[0]}");
var app = builder.Build();
app.MapPost("/generate", (Request request) =>
{
    var began = Stopwatch.GetTimestamp();
    using var parameters = new GeneratorParams(model);
    parameters.SetSearchOption("batch_size", request.Prompts.Length);
    parameters.SetSearchOption("max_length", request.Prompts[0].Length + request.MaxTokens);
    parameters.SetSearchOption("min_length", request.Prompts[0].Length + request.MaxTokens);
    using var generator = new Generator(model, parameters);
    // All prompts have the same length, so no padding is needed.
    generator.AppendTokens([.. request.Prompts.SelectMany(p => p)]);
    var first = Stopwatch.GetElapsedTime(began);
    while (!generator.IsDone()) generator.GenerateNextToken();
    var all = Stopwatch.GetElapsedTime(began);
    var texts = request.Prompts.Select((p, i) => generator.GetSequence((ulong)i)[p.Length..].ToArray()).ToArray();
    return new Response(texts, first.TotalSeconds, all.TotalSeconds);
});
await app.StartAsync();
Console.WriteLine("ready");
await app.WaitForShutdownAsync();

internal sealed record Request(int[][] Prompts, int MaxTokens);

internal sealed record Response(int[][] Texts, double FirstSeconds, double Seconds);
