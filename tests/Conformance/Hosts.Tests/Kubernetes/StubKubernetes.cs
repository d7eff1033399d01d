using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>
/// The part of an API server that the Kubernetes host uses, with the faults that a test requests. Its kubelet runs each
/// pod as a process of this machine, with an own loopback address.
/// </summary>
internal sealed class StubKubernetes : IAsyncDisposable
{
    public const string Namespace = "workers";
    public const string Owner = "sluice";

    private readonly WebApplication app;
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-stub-k8s-").FullName;
    private int lostAnswers;

    private StubKubernetes(WebApplication app)
    {
        this.app = app;
        Kubelet = new StubKubelet(Objects);
        Objects.Create("configmaps", Named(Owner));
    }

    public StubObjects Objects { get; } = new();

    public StubKubelet Kubelet { get; }

    /// <summary>Path of a kubeconfig for this server.</summary>
    public string Config => Path.Combine(folder, "kubeconfig");

    /// <summary>Whether every connection is closed without an answer.</summary>
    public bool IsDown { get; set; }

    /// <summary>Whether watches send nothing.</summary>
    public bool WatchesAreSilent { get; set; }

    /// <summary>Whether 410 is an event of the watch, and not its status.</summary>
    public bool GoneInStream { get; set; }

    /// <summary>Number of watches begun so far.</summary>
    public int Watches { get; private set; }

    /// <summary>Number of lists of pods so far.</summary>
    public int Lists { get; private set; }

    /// <summary>Number of changes that are still made without an answer.</summary>
    public int LostAnswers
    {
        get => Volatile.Read(ref lostAnswers);
        set => Volatile.Write(ref lostAnswers, value);
    }

    /// <summary>Refuses a request with a status, for example 403; null: it is served.</summary>
    public Func<HttpRequest, HttpStatusCode?> Refuse { get; set; } = _ => null;

    public static async Task<StubKubernetes> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        var stub = new StubKubernetes(app);
        app.Run(stub.ServeAsync);
        await app.StartAsync();
        var server = app.Services.GetRequiredService<IServer>();
        var address = server.Features.Get<IServerAddressesFeature>()!.Addresses.First();
        await File.WriteAllTextAsync(stub.Config, $$"""
            apiVersion: v1
            kind: Config
            clusters: [{ name: stub, cluster: { server: "{{address}}" } }]
            users: [{ name: stub, user: { token: stub } }]
            contexts: [{ name: stub, context: { cluster: stub, user: stub, namespace: {{Namespace}} } }]
            current-context: stub
            """);
        return stub;
    }

    /// <summary>Returns an object that has a name only.</summary>
    public static JsonObject Named(string name) => new() { ["metadata"] = new JsonObject { ["name"] = name } };

    public async ValueTask DisposeAsync()
    {
        await Kubelet.DisposeAsync();
        await app.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task ServeAsync(HttpContext http)
    {
        if (IsDown)
        {
            http.Abort();
            return;
        }

        if (Refuse(http.Request) is { } refused)
        {
            await FailAsync(http, (int)refused, $"refused by the test: {http.Request.Method} {http.Request.Path}");
            return;
        }

        var parts = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        // api v1 namespaces NS KIND [NAME [log]], or api v1 nodes
        var (kind, name, sub) = parts is ["api", "v1", "namespaces", Namespace, ..]
            ? (parts.ElementAtOrDefault(4) ?? "", parts.ElementAtOrDefault(5), parts.ElementAtOrDefault(6))
            : (parts.ElementAtOrDefault(2) ?? "", parts.ElementAtOrDefault(3), null);
        switch (http.Request.Method)
        {
            case "GET" when sub == "log":
                await Kubelet.WriteLogAsync(http, name!);
                break;
            case "GET" when name is not null:
                await AnswerAsync(http, 200, Objects.Find(kind, name), name);
                break;
            case "GET" when http.Request.Query["watch"] == "true":
                await WatchAsync(http, kind);
                break;
            case "GET":
                if (kind == "pods") Lists++;
                await AnswerAsync(http, 200, ListOf(kind), "");
                break;
            case "POST":
                await CreateAsync(http, kind);
                break;
            case "PATCH" when kind == "pods" && name is not null:
                await PatchAsync(http, name);
                break;
            case "DELETE":
                await DeleteAsync(http, kind, name!);
                break;
            default:
                await FailAsync(http, 405, "the stub has no such method");
                break;
        }
    }

    private JsonObject ListOf(string kind)
    {
        // The version first: an event that the list contains already may come again, but none is missed.
        var version = Objects.Version;
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "List",
            ["metadata"] = new JsonObject { ["resourceVersion"] = version },
            ["items"] = new JsonArray([.. Objects.List(kind)]),
        };
    }

    private async Task CreateAsync(HttpContext http, string kind)
    {
        var body = (await JsonNode.ParseAsync(http.Request.Body))!.AsObject();
        if (kind == "secrets" && body["stringData"] is JsonObject text)
        {
            body["data"] = new JsonObject(text.Select(t => KeyValuePair.Create(t.Key,
                (JsonNode?)Convert.ToBase64String(Encoding.UTF8.GetBytes((string)t.Value!)))));
            body.Remove("stringData");
        }

        var created = Objects.Create(kind, body);
        if (created is null) await FailAsync(http, 409, $"{kind} \"{body["metadata"]!["name"]}\" already exists");
        else await AnswerAsync(http, 201, created, "");
    }

    /// <summary>Sets the deadline of a pod, which has passed then. Nothing else of a pod can be changed here.</summary>
    private async Task PatchAsync(HttpContext http, string name)
    {
        var patch = (await JsonNode.ParseAsync(http.Request.Body))!.AsObject();
        var seconds = (long)patch["spec"]!["activeDeadlineSeconds"]!;
        var changed = Objects.Change("pods", name, p => p["spec"]!["activeDeadlineSeconds"] = seconds);
        if (changed is not null) Kubelet.EndByDeadline(name);
        await AnswerAsync(http, 200, changed, name);
    }

    private async Task DeleteAsync(HttpContext http, string kind, string name)
    {
        var options = http.Request.ContentLength is > 0 || http.Request.Headers.TransferEncoding.Count > 0
            ? (await JsonNode.ParseAsync(http.Request.Body))?.AsObject() : null;
        if (Objects.Find(kind, name) is not { } found)
        {
            await FailAsync(http, 404, $"{kind} \"{name}\" not found");
            return;
        }

        var uid = (string?)options?["preconditions"]?["uid"];
        if (uid is not null && uid != (string)found["metadata"]!["uid"]!)
        {
            await FailAsync(http, 409, "the UID in the precondition does not match");
            return;
        }

        if (kind == "pods") Kubelet.Delete(name, (long?)options?["gracePeriodSeconds"]);
        else Objects.Remove(kind, name);
        await AnswerAsync(http, 200, found, name);
    }

    private async Task WatchAsync(HttpContext http, string kind)
    {
        Watches++;
        var after = long.Parse(http.Request.Query["resourceVersion"]!, CultureInfo.InvariantCulture);
        if (Objects.Watch(after) is not { } events)
        {
            var status = Failure(410, $"too old resource version: {after}");
            if (GoneInStream)
                await http.Response.WriteAsync(
                    new JsonObject { ["type"] = "ERROR", ["object"] = status }.ToJsonString() + "\n");
            else await FailAsync(http, 410, $"too old resource version: {after}");
            return;
        }

        http.Response.ContentType = "application/json";
        await http.Response.StartAsync();
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        timeout.CancelAfter(TimeSpan.FromSeconds(
            int.Parse(http.Request.Query["timeoutSeconds"]!, CultureInfo.InvariantCulture)));
        try
        {
            await foreach (var change in events.Reader.ReadAllAsync(timeout.Token))
            {
                if (WatchesAreSilent || change.Kind != kind) continue;
                if (IsDown) http.Abort();
                var line = new JsonObject { ["type"] = change.Type, ["object"] = change.Object.DeepClone() };
                await http.Response.WriteAsync(line.ToJsonString() + "\n", timeout.Token);
                await http.Response.Body.FlushAsync(timeout.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The client left, or the watch is over.
        }
    }

    private async Task AnswerAsync(HttpContext http, int status, JsonObject? body, string? name)
    {
        if (body is null)
        {
            await FailAsync(http, 404, $"\"{name}\" not found");
            return;
        }

        if (http.Request.Method != "GET" && Interlocked.Decrement(ref lostAnswers) >= 0)
        {
            http.Abort();
            return;
        }

        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(body.ToJsonString());
    }

    private static async Task FailAsync(HttpContext http, int status, string message)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        await http.Response.WriteAsync(Failure(status, message).ToJsonString());
    }

    private static JsonObject Failure(int status, string message) => new()
    {
        ["kind"] = "Status",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject(),
        ["status"] = "Failure",
        ["message"] = message,
        ["code"] = status,
    };
}
