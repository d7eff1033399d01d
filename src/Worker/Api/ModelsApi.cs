using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sluice.Worker.Batching;
using Sluice.Worker.Configuration;
using Sluice.Worker.Http;
using Sluice.Worker.Models;
using Sluice.Worker.Serving;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Api;

/// <summary>Implements Triton's extensions for model configuration, statistics and the model repository.</summary>
internal sealed class ModelsApi(ModelHost host, WorkerSettings settings)
{
    public void Map(Router routes)
    {
        routes.MapGet("/v2/models/stats", c => StatisticsAsync(c, host.Repository.All));
        foreach (var prefix in new[] { "/v2/models/{model}", "/v2/models/{model}/versions/{version}" })
        {
            routes.MapGet(prefix + "/config", ConfigAsync);
            routes.MapGet(prefix + "/stats", c => StatisticsAsync(c, SelectModels(c)));
        }

        routes.MapPost("/v2/repository/index", IndexAsync);
        routes.MapPost("/v2/repository/models/{model}/load", LoadAsync);
        routes.MapPost("/v2/repository/models/{model}/unload", UnloadAsync);
        foreach (var path in new[] { "index", "models/{model}/load", "models/{model}/unload" })
            routes.MapPost(
                "/v2/repository/{repository}/" + path,
                _ => throw new InvalidRequestException("'repository_name' specification is not supported", 501));
    }

    /// <summary>Returns the version that the path names, or all versions of the model if it names none.</summary>
    private IEnumerable<LoadedModel> SelectModels(HttpContext context)
    {
        var model = OpenInferenceApi.FindModel(context, host);
        return context.Request.RouteValues["version"] is null
            ? host.Repository.All.Where(m => m.Name == model.Name)
            : [model];
    }

    private Task ConfigAsync(HttpContext context)
    {
        var model = OpenInferenceApi.FindModel(context, host);
        return JsonResponses.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("name", model.Name);
            json.WriteString("platform", "onnxruntime_onnx");
            json.WriteString("backend", "onnxruntime");
            WriteVersions(json);
            json.WriteNumber("max_batch_size", model.Batches ? model.MaxBatch : 0);
            WriteTensors(
                json,
                "input",
                model.Inputs,
                model.Batches,
                i => model.Config.Formats.GetValueOrDefault(i.Name, ModelConfigFile.NoFormat));
            WriteTensors(json, "output", model.Outputs, model.Batches);
            WriteInstances(json, model);
            json.WriteString("default_model_filename", "model.onnx");
            if (model.Batches)
            {
                json.WriteStartObject("dynamic_batching");
                json.WriteStartArray("preferred_batch_size");
                json.WriteEndArray();
                json.WriteNumber("max_queue_delay_microseconds", 0);
                json.WriteEndObject();
            }

            WriteParameters(json, model);
            json.WriteEndObject();
        });
    }

    private void WriteInstances(Utf8JsonWriter json, LoadedModel model)
    {
        json.WriteStartArray("instance_group");
        json.WriteStartObject();
        json.WriteString("name", model.Name);
        json.WriteString("kind", host.Providers.First == "cpu" ? "KIND_CPU" : "KIND_GPU");
        json.WriteNumber("count", host.Slots.Count);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteParameters(Utf8JsonWriter json, LoadedModel model)
    {
        json.WriteStartObject("parameters");
        WriteParameter(json, "batching", model.Batching.Why);
        if (model.Batches)
        {
            var gain = string.Create(
                CultureInfo.InvariantCulture,
                $"{model.Gain.Factor:0.0} at {model.Gain.Rows} rows: ");
            var wait = model.Scheduler.Gathers
                ? "a batch waits until all received requests are read"
                : "a batch does not wait";
            WriteParameter(json, "batch_gain", gain + wait);
        }

        var isPinned = model.Binding.Memory.Pinned && model.Binding.Plan.How != TensorBinding.None;
        WriteParameter(json, "placement", model.Session.Placement?.ToString());
        WriteParameter(json, "bound", model.Binding.ToString());
        WriteParameter(json, "pinned", isPinned ? "true" : "false");
        if (model.Config.Ignored is { Count: > 0 } ignored)
            WriteParameter(
                json,
                "config_pbtxt",
                $"only input.format has an effect; ignored: {string.Join(", ", ignored)}");
        WriteParameter(json, "cuda_graph", model.Binding.Plan.Graph ? "true" : "false");
        json.WriteEndObject();
    }

    private static void WriteParameter(Utf8JsonWriter json, string name, string? value)
    {
        json.WriteStartObject(name);
        json.WriteString("string_value", value);
        json.WriteEndObject();
    }

    private void WriteVersions(Utf8JsonWriter json)
    {
        json.WriteStartObject("version_policy");
        if (settings.Versions.Latest > 0)
        {
            json.WriteStartObject("latest");
            json.WriteNumber("num_versions", settings.Versions.Latest);
        }
        else if (settings.Versions.Named.Count > 0)
        {
            json.WriteStartObject("specific");
            json.WriteStartArray("versions");
            foreach (var version in settings.Versions.Named) json.WriteNumberValue(version);
            json.WriteEndArray();
        }
        else
        {
            json.WriteStartObject("all");
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>
    /// Writes the inputs or outputs. The dims of a model with batching do not include the batch dimension.
    /// </summary>
    private static void WriteTensors(
        Utf8JsonWriter json,
        string name,
        IEnumerable<TensorSpec> tensors,
        bool batched,
        Func<TensorSpec, string>? format = null)
    {
        json.WriteStartArray(name);
        foreach (var tensor in tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteString("data_type", "TYPE_" + (tensor.Type.IsBytes ? "STRING" : tensor.Type.Name));
            if (format is not null) json.WriteString("format", format(tensor));
            json.WriteStartArray("dims");
            foreach (var d in tensor.Shape.Skip(batched ? 1 : 0)) json.WriteNumberValue(d);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static Task StatisticsAsync(HttpContext context, IEnumerable<LoadedModel> models) =>
        JsonResponses.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("model_stats");
            foreach (var model in models) WriteStatistics(json, model);
            json.WriteEndArray();
            json.WriteEndObject();
        });

    private static void WriteStatistics(Utf8JsonWriter json, LoadedModel model)
    {
        var view = model.Statistics.View;
        json.WriteStartObject();
        json.WriteString("name", model.Name);
        json.WriteString("version", model.Version);
        json.WriteNumber("last_inference", view.LastMs);
        json.WriteNumber("inference_count", view.Rows);
        json.WriteNumber("execution_count", view.Runs);
        json.WriteStartObject("inference_stats");
        Write(json, "success", view.Success);
        Write(json, "fail", view.Fail);
        Write(json, "queue", view.Stages[(int)InferStage.Queue]);
        Write(json, "compute_input", view.Stages[(int)InferStage.Input]);
        Write(json, "compute_infer", view.Stages[(int)InferStage.Infer]);
        Write(json, "compute_output", view.Stages[(int)InferStage.Output]);
        Write(json, "cache_hit", default);
        Write(json, "cache_miss", default);
        json.WriteEndObject();
        json.WriteStartObject("response_stats");
        foreach (var (index, times) in view.Responses) Write(json, index, times);
        json.WriteEndObject();
        json.WriteStartArray("batch_stats");
        foreach (var (rows, times) in view.Batches)
        {
            json.WriteStartObject();
            json.WriteNumber("batch_size", rows);
            Write(json, "compute_input", times.Input);
            Write(json, "compute_infer", times.Infer);
            Write(json, "compute_output", times.Output);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("memory_usage");
        WriteMemory(json, model.Session.Provider == "cpu" ? "CPU" : "GPU", model.Session.Device, model.Weights);
        WriteMemory(json, model.Binding.Memory.Pinned ? "CPU_PINNED" : "CPU", 0, model.BufferBytes);
        json.WriteEndArray();
        if (model.Generator is { } generator)
        {
            json.WritePropertyName("generation_stats");
            JsonSerializer.Serialize(json, GenerationLoad.Read(generator), WorkerJson.Default.GenerationLoad);
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, int index, in ResponseTimes times)
    {
        json.WriteStartObject(index.ToString(CultureInfo.InvariantCulture));
        Write(json, "compute_infer", times.Infer);
        Write(json, "compute_output", times.Output);
        Write(json, "success", times.Success);
        Write(json, "fail", times.Fail);
        Write(json, "empty_response", default);
        Write(json, "cancel", times.Cancel);
        json.WriteEndObject();
    }

    private static void WriteMemory(Utf8JsonWriter json, string type, int id, long bytes)
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteNumber("id", id);
        json.WriteNumber("byte_size", bytes);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, Times times)
    {
        json.WriteStartObject(name);
        json.WriteNumber("count", times.Count);
        json.WriteNumber("ns", times.Ns);
        json.WriteEndObject();
    }

    private async Task IndexAsync(HttpContext context)
    {
        using var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes);
        var readyOnly = false;
        if (bytes.Length > 0)
        {
            using var body = bytes.Parse();
            if (body.RootElement.ValueKind == JsonValueKind.Object
                && body.RootElement.TryGetProperty("ready", out var ready))
                readyOnly = ready.ValueKind switch
                {
                    JsonValueKind.True => true,
                    JsonValueKind.False => false,
                    _ => throw new InvalidRequestException("'ready' must be true or false."),
                };
        }

        await JsonResponses.WriteAsync(context, json =>
        {
            json.WriteStartArray();
            foreach (var state in host.Repository.Index().Where(s => !readyOnly || s.State == "READY"))
            {
                json.WriteStartObject();
                json.WriteString("name", state.Name);
                if (state.Version.Length > 0) json.WriteString("version", state.Version);
                json.WriteString("state", state.State);
                if (state.Reason.Length > 0) json.WriteString("reason", state.Reason);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private async Task LoadAsync(HttpContext context)
    {
        using (var bytes = await RequestBody.ReadAsync(context, settings.MaxBodyBytes))
            if (bytes.Length > 0)
            {
                using var body = bytes.Parse();
                if (body.RootElement.ValueKind != JsonValueKind.Object)
                    throw new InvalidRequestException(
                        "The body is not a JSON object; expected an object without 'parameters', or an empty body.");
                if (body.RootElement.TryGetProperty("parameters", out var parameters)
                    && parameters.ValueKind == JsonValueKind.Object
                    && parameters.EnumerateObject().Any())
                    throw new InvalidRequestException(
                        "'parameters' of a load request must be empty: models and their settings are read from the "
                        + "repository only.");
            }

        await host.Repository.LoadAsync(CheckControl(context, "load"), context.RequestAborted);
    }

    private async Task UnloadAsync(HttpContext context)
    {
        using (await RequestBody.ReadAsync(context, settings.MaxBodyBytes))
        {
            // The content is ignored: the only parameter concerns ensembles, which the worker does not support.
        }

        await host.Repository.UnloadAsync(CheckControl(context, "unload"), context.RequestAborted);
    }

    /// <summary>Checks that the caller may load and unload models, and returns the name of the model.</summary>
    private string CheckControl(HttpContext context, string action)
    {
        if (!settings.ExplicitControl)
            throw new InvalidRequestException(string.Create(CultureInfo.InvariantCulture,
                $"explicit model load / unload is not allowed: {action} needs SLUICE_MODEL_CONTROL=explicit"));
        AdminOnly.RequireAdmin(context, "load and unload models");
        return (string)context.Request.RouteValues["model"]!;
    }
}
