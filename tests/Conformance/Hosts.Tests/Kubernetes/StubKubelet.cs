using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>
/// The scheduler and the kubelet of a stub cluster: runs the container of each pod as a process group of this machine.
/// A claim is a folder, and the variables of a pod that are paths inside its container are translated.
/// </summary>
internal sealed class StubKubelet : IAsyncDisposable
{
    /// <summary>Addresses of all clusters of this process, whose pods use the same ports.</summary>
    private static int addresses;

    private readonly StubObjects objects;
    private readonly ConcurrentDictionary<string, StubContainer> containers = [];
    private readonly Dictionary<string, string> ownClaims = [];

    public StubKubelet(StubObjects objects)
    {
        this.objects = objects;
        objects.Changed += OnChanged;
    }

    /// <summary>The folders of the claims, by name.</summary>
    public Dictionary<string, string> Claims { get; } = [];

    /// <summary>Returns the status of a pod that is not run; null: it is run.</summary>
    public Func<JsonObject, JsonObject?> Override { get; set; } = _ => null;

    /// <summary>Pods whose container was started, by name, with the number of starts.</summary>
    public ConcurrentDictionary<string, int> Starts { get; } = [];

    /// <summary>Whether the container of a pod was started and has exited.</summary>
    public bool IsOver(string name) => containers.TryGetValue(name, out var container) && !container.IsRunning;

    /// <summary>Runs a pod that <see cref="Override"/> held back.</summary>
    public void Run(string name) => TryStart(name);

    /// <summary>Sets conditions of a pod, and begins its deletion, as an eviction does.</summary>
    public void Evict(string name, string reason, string message)
    {
        objects.Change("pods", name, pod => Status(pod)["conditions"] = new JsonArray(new JsonObject
        {
            ["type"] = "DisruptionTarget",
            ["status"] = "True",
            ["reason"] = reason,
            ["message"] = message,
        }));
        Delete(name, null);
    }

    /// <summary>Begins the deletion of a pod.</summary>
    /// <param name="name">The pod.</param>
    /// <param name="graceSeconds">Time between SIGTERM and SIGKILL; null: that of the pod.</param>
    public void Delete(string name, long? graceSeconds)
    {
        var pod = objects.Change("pods", name, p => p["metadata"]!["deletionTimestamp"] ??= Now());
        if (pod is null) return;
        var grace = graceSeconds ?? (long?)pod["spec"]!["terminationGracePeriodSeconds"] ?? 30;
        if (containers.TryGetValue(name, out var container) && container.IsRunning)
            _ = container.EndAsync(TimeSpan.FromSeconds(grace));
        else objects.Remove("pods", name);
    }

    /// <summary>Ends the program of a pod whose deadline has passed. The pod stays.</summary>
    public void EndByDeadline(string name)
    {
        if (objects.Find("pods", name) is not { } pod || !containers.TryGetValue(name, out var container)) return;
        var grace = (long?)pod["spec"]!["terminationGracePeriodSeconds"] ?? 30;
        _ = container.EndAsync(TimeSpan.FromSeconds(grace), onlyFirst: true);
    }

    /// <summary>Writes the log of a pod, and follows it if the request asks for that.</summary>
    public async Task WriteLogAsync(HttpContext http, string name)
    {
        if (!containers.TryGetValue(name, out var container))
        {
            http.Response.StatusCode = objects.Find("pods", name) is null ? 404 : 400;
            return;
        }

        var follow = http.Request.Query["follow"] == "true";
        var next = int.TryParse(http.Request.Query["tailLines"], CultureInfo.InvariantCulture, out var tail)
            ? Math.Max(0, container.Lines - tail) : 0;
        var since = int.TryParse(http.Request.Query["sinceSeconds"], CultureInfo.InvariantCulture, out var seconds)
            ? TimeProvider.System.GetUtcNow() - TimeSpan.FromSeconds(seconds) : DateTimeOffset.MinValue;
        bool IsSince(string line) => DateTimeOffset.Parse(
            line[..line.IndexOf(' ', StringComparison.Ordinal)], CultureInfo.InvariantCulture) >= since;
        http.Response.ContentType = "text/plain";
        await http.Response.StartAsync();
        try
        {
            while (true)
            {
                var (lines, more, over) = container.Read(next);
                foreach (var line in lines)
                    if (IsSince(line)) await http.Response.WriteAsync(line + "\n", http.RequestAborted);
                next += lines.Count;
                await http.Response.Body.FlushAsync(http.RequestAborted);
                if (over || !follow) return;
                await more.WaitAsync(http.RequestAborted);
            }
        }
        catch (OperationCanceledException)
        {
            // The client left.
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var container in containers.Values) await container.EndAsync(TimeSpan.Zero);
        foreach (var folder in ownClaims.Values) Directory.Delete(folder, recursive: true);
    }

    private void OnChanged(StubEvent change)
    {
        if (change is { Type: "ADDED", Kind: "pods" }) TryStart(change.Name);
        // The pod waits for the Secret with its environment.
        if (change is { Type: "ADDED", Kind: "secrets" })
            foreach (var pod in objects.List("pods").Where(p => SecretOf(p) == change.Name))
                TryStart((string)pod["metadata"]!["name"]!);
        if (change is { Kind: "persistentvolumeclaims" }) OnClaimChanged(change);
        if (change is { Type: "DELETED", Kind: "pods" } && containers.TryRemove(change.Name, out var container))
            _ = container.EndAsync(TimeSpan.Zero);
    }

    /// <summary>A claim that is created has an empty folder; its folder is deleted with it.</summary>
    private void OnClaimChanged(StubEvent change)
    {
        if (change.Type == "ADDED" && !Claims.ContainsKey(change.Name))
            Claims[change.Name] = ownClaims[change.Name] =
                Directory.CreateTempSubdirectory("sluice-stub-claim-").FullName;
        if (change.Type != "DELETED" || !ownClaims.Remove(change.Name, out var folder)) return;
        Claims.Remove(change.Name);
        Directory.Delete(folder, recursive: true);
    }

    private static string? SecretOf(JsonObject pod) =>
        (string?)pod["spec"]!["containers"]![0]!["envFrom"]?[0]?["secretRef"]?["name"];

    private void TryStart(string name)
    {
        if (objects.Find("pods", name) is not { } pod || containers.ContainsKey(name)) return;
        if (Override(pod) is { } status)
        {
            objects.Change("pods", name, p => p["status"] = status);
            return;
        }

        var secretName = SecretOf(pod) ?? name;
        if (objects.Find("secrets", secretName) is not { } secret)
        {
            SetContainer(name, "Pending", null, new JsonObject
            {
                ["waiting"] = new JsonObject
                {
                    ["reason"] = "CreateContainerConfigError",
                    ["message"] = $"secret \"{secretName}\" not found",
                },
            });
            return;
        }

        var number = Interlocked.Increment(ref addresses);
        var ip = $"127.{64 + (Environment.ProcessId % 64)}.{number / 250}.{(number % 250) + 1}";
        StubContainer container;
        try
        {
            container = new StubContainer(StartInfo(pod, secret, ip));
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            SetContainer(name, "Failed", null, Terminated(127, "ContainerCannotRun",
                $"OCI runtime create failed: exec: \"{pod["spec"]!["containers"]![0]!["command"]?[0]}\": {e.Message}"));
            return;
        }

        if (!containers.TryAdd(name, container)) return;
        Starts.AddOrUpdate(name, 1, (_, n) => n + 1);
        SetContainer(name, "Running", ip, new JsonObject
        {
            ["running"] = new JsonObject { ["startedAt"] = Now() },
        });
        _ = CompleteAsync(name, ip, container);
    }

    private async Task CompleteAsync(string name, string ip, StubContainer container)
    {
        var code = await container.Exited;
        // Another pod may have its name now.
        if (!containers.TryGetValue(name, out var current) || current != container) return;
        SetContainer(name, code == 0 ? "Succeeded" : "Failed", ip,
            Terminated(code, code == 0 ? "Completed" : "Error", ""));
        if (objects.Find("pods", name)?["metadata"]?["deletionTimestamp"] is not null) objects.Remove("pods", name);
    }

    private ProcessStartInfo StartInfo(JsonObject pod, JsonObject secret, string ip)
    {
        var spec = pod["spec"]!["containers"]![0]!;
        var claims = (pod["spec"]!["volumes"] as JsonArray ?? []).Where(v => v!["persistentVolumeClaim"] is not null)
            .ToDictionary(v => (string)v!["name"]!, v => Claims[(string)v!["persistentVolumeClaim"]!["claimName"]!]);
        var mounts = (spec["volumeMounts"] as JsonArray ?? []).Where(m => claims.ContainsKey((string)m!["name"]!))
            .Select(m => ((string)m!["mountPath"]!,
                Path.Combine(claims[(string)m["name"]!], (string?)m["subPath"] ?? "")))
            .OrderByDescending(m => m.Item1.Length).ToList();
        var command = (spec["command"] as JsonArray)?.Select(w => (string)w!).ToList() ?? [Repository.Worker];
        command.AddRange((spec["args"] as JsonArray ?? []).Select(w => (string)w!));
        // The kubelet reads $$ as $. It also expands $(NAME), which no test uses.
        command = [.. command.Select(w => w.Replace("$$", "$", StringComparison.Ordinal))];
        if (command[0].Contains('/', StringComparison.Ordinal) && !File.Exists(command[0]))
            throw new System.ComponentModel.Win32Exception(2);
        // A process group of its own, which ends as a whole.
        var info = new ProcessStartInfo("/usr/bin/setsid", command)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        info.Environment.Clear();
        info.Environment["PATH"] = "/usr/local/bin:/usr/bin:/bin";
        foreach (var (variable, value) in secret["data"]!.AsObject())
            info.Environment[variable] = Inside(Encoding.UTF8.GetString(Convert.FromBase64String((string)value!)));
        foreach (var entry in spec["env"] as JsonArray ?? [])
            info.Environment[(string)entry!["name"]!] =
                (string?)entry["valueFrom"]?["fieldRef"]?["fieldPath"] == "status.podIP" ? ip : (string?)entry["value"];
        return info;

        string Inside(string path)
        {
            foreach (var (inside, outside) in mounts)
                if (path == inside || path.StartsWith(inside + "/", StringComparison.Ordinal))
                    return outside + path[inside.Length..];
            return path;
        }
    }

    private void SetContainer(string name, string phase, string? ip, JsonObject state) =>
        objects.Change("pods", name, pod =>
        {
            var status = Status(pod);
            status["phase"] = phase;
            if (ip is not null) status["podIP"] = ip;
            if (status["conditions"] is null)
                status["conditions"] = new JsonArray(new JsonObject
                {
                    ["type"] = "PodScheduled", ["status"] = "True", ["lastTransitionTime"] = Now(),
                });
            status["containerStatuses"] = new JsonArray(new JsonObject
            {
                ["name"] = "worker",
                ["image"] = "",
                ["imageID"] = "",
                ["ready"] = false,
                ["restartCount"] = 0,
                ["state"] = state.DeepClone(),
            });
        });

    private static JsonObject Status(JsonObject pod) => (pod["status"] ??= new JsonObject()).AsObject();

    private static JsonObject Terminated(int code, string reason, string message) => new()
    {
        ["terminated"] = new JsonObject
        {
            ["exitCode"] = code,
            ["reason"] = reason,
            ["message"] = message,
            ["startedAt"] = Now(),
            ["finishedAt"] = Now(),
        },
    };

    /// <summary>The time as API servers write it.</summary>
    public static string Now() =>
        TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
