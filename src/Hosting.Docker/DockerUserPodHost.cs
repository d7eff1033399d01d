using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Fleet;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Shared;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Runs the pods of users as containers of a Docker daemon, which is the node. Names are fixed, and labels hold the
/// declaration, so that every call can be repeated and the next gateway continues.
/// </summary>
public sealed partial class DockerUserPodHost : IUserPodHost
{
    /// <summary>Pause between two looks at a container that stops.</summary>
    private static readonly TimeSpan StopPoll = TimeSpan.FromMilliseconds(200);

    /// <summary>Characters of a log line that are returned.</summary>
    private const int MaxLine = 16 << 10;

    /// <summary>Maximum concurrent measurements.</summary>
    private const int MostMeasurements = 8;

    private readonly DockerSettings settings;
    private readonly HostId host;
    private readonly TimeProvider time;
    private readonly ILogger<DockerUserPodHost> logger;
    private readonly EngineClient engine;
    private readonly ImageStore images;

    /// <summary>
    /// Details of containers by id, for as long as the state in the list does not change. Without them, each list would
    /// inspect each container.
    /// </summary>
    private readonly ConcurrentDictionary<string, (string State, ContainerInfo Info)> details = new();

    private readonly SemaphoreSlim networking = new(1);

    private volatile string? node;

    public DockerUserPodHost(
        DockerSettings settings, HostId host, TimeProvider time, ILogger<DockerUserPodHost> logger)
    {
        this.settings = settings;
        this.host = host;
        this.time = time;
        this.logger = logger;
        engine = new EngineClient(settings.Daemon, time);
        images = new ImageStore(engine, settings.RegistryConfig, time);
    }

    public async Task<string> FindNodeAsync(CancellationToken ct) => node ??= await engine.DaemonIdAsync(ct);

    public async Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct)
    {
        var instances = new List<UserPodInstance>();
        var listed = await engine.ListAsync(UserPodLabels.Id, ct);
        foreach (var gone in details.Keys.Except(listed.Select(l => l.Id)).ToList()) details.TryRemove(gone, out _);
        foreach (var found in listed)
        {
            if (found.Labels is not { } labels || !UserPodLabels.IsOwn(labels, installation, host.Value)) continue;
            // "removing" and "dead" containers are deleted already.
            if (found.State is "removing" or "dead") continue;
            if (await DetailsAsync(found, ct) is not { } info) continue;
            instances.Add(Instance(info, labels));
        }

        return instances;
    }

    public async Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct)
    {
        var spec = start.Pod.Spec;
        if (spec.Image.Length == 0)
            throw new UserPodStartException("image is ''; expected an image, because this gateway runs pods as "
                + "containers (SLUICE_POD_HOST=docker)");
        var body = UserPodContainer.Build(start, settings, host.Value);
        try
        {
            await images.EnsureAsync(spec.Image, spec.Container.Pull, progress, ct);
            if (settings.PodNetwork == DockerSettings.DefaultPodNetwork)
                await EnsureNetworkAsync(ct);
            details.TryRemove(await CreateAndStartAsync(start.Pod.Id, body, ct), out _);
        }
        catch (InvalidOperationException e)
            when (e is not EngineException { IsDown: true } and not UserPodStartException)
        {
            throw new UserPodStartException(StartFailure.Explain(e.Message, spec.Image, settings), canRetry: true, e);
        }
    }

    /// <summary>
    /// Creates and starts the container, and returns its id. A daemon that was killed while it started a container does
    /// not know that containerd runs it, and cannot start it again ("id already in use"). A new container has another
    /// id; the volume remains.
    /// </summary>
    private async Task<string> CreateAndStartAsync(string podId, JsonObject body, CancellationToken ct)
    {
        var container = await CreateAsync(podId, body, ct);
        try
        {
            await engine.StartAsync(container, ct);
            return container;
        }
        catch (EngineException e) when (e.Message.Contains("id already in use", StringComparison.Ordinal))
        {
            await RemoveAsync(podId, ct);
            container = await CreateAsync(podId, body, ct);
            await engine.StartAsync(container, ct);
            return container;
        }
    }

    /// <summary>Creates the network of pods. Concurrent starts would create several.</summary>
    private async Task EnsureNetworkAsync(CancellationToken ct)
    {
        await networking.WaitAsync(ct);
        try
        {
            await engine.EnsureIsolatedNetworkAsync(settings.PodNetwork, ct);
        }
        finally
        {
            networking.Release();
        }
    }

    public async Task RestartAsync(UserPod pod, CancellationToken ct)
    {
        await StopAsync(pod, ct);
        await engine.StartAsync(UserPodContainer.Name(pod.Id), ct);
        details.Clear();
    }

    public async Task StopAsync(UserPod pod, CancellationToken ct)
    {
        var container = UserPodContainer.Name(pod.Id);
        // The grace period is measured here, because the daemon's own stop call ends when the daemon does.
        var grace = Task.Delay(pod.Spec.StopGrace, time, ct);
        await engine.SignalAsync(container, "SIGTERM", ct);
        while (await engine.InspectAsync(container, ct) is { State.Running: true })
        {
            if (grace.IsCompleted) await engine.SignalAsync(container, "SIGKILL", ct);
            await Task.Delay(StopPoll, time, ct);
        }
    }

    public async Task RemoveAsync(string podId, CancellationToken ct)
    {
        await engine.RemoveAsync(UserPodContainer.Name(podId), ct);
        UserPodContainerRemoved(podId);
    }

    public Task<bool> HasVolumeAsync(string podId, CancellationToken ct) =>
        engine.VolumeExistsAsync(UserPodContainer.Name(podId), ct);

    public Task RemoveVolumeAsync(string podId, CancellationToken ct) =>
        engine.RemoveVolumeAsync(UserPodContainer.Name(podId), ct);

    public async Task<IReadOnlyDictionary<string, UserPodReading>> MeasureAsync(
        IReadOnlyCollection<UserPod> measured, CancellationToken ct)
    {
        var readings = new ConcurrentDictionary<string, UserPodReading>();
        var options = new ParallelOptions { MaxDegreeOfParallelism = MostMeasurements, CancellationToken = ct };
        await Parallel.ForEachAsync(measured, options, async (pod, stop) =>
        {
            if (await engine.StatsAsync(UserPodContainer.Name(pod.Id), stop) is { } stats
                && stats.ToReading(pod.Spec.Container.Cpus) is { } reading) readings[pod.Id] = reading;
        });
        return readings;
    }

    public async IAsyncEnumerable<UserPodLogLine> ReadLogAsync(
        string podId, UserPodLogRange range, [EnumeratorCancellation] CancellationToken ct)
    {
        var since = range.Since is { } from ? Seconds(from) : "0";
        Stream stream;
        try
        {
            stream = await engine.LogsAsync(UserPodContainer.Name(podId), since, range.Tail ?? 0, range.Follow, ct);
        }
        catch (EngineException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // The pod has no container (any more).
            yield break;
        }

        await using var reading = stream;
        await foreach (var line in new LogFrames(stream).LinesAsync(ct))
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0) continue;
            if (!DateTimeOffset.TryParse(line[..space], CultureInfo.InvariantCulture, out var at)) continue;
            if (range.Since is { } after && at <= after) continue;
            yield return new UserPodLogLine(at, PrintableText.Escape(line[(space + 1)..], MaxLine));
        }
    }

    public void Dispose()
    {
        engine.Dispose();
        networking.Dispose();
    }

    private async Task<ContainerInfo?> DetailsAsync(ContainerSummary found, CancellationToken ct)
    {
        if (details.TryGetValue(found.Id, out var known) && known.State == found.State) return known.Info;
        if (await engine.InspectAsync(found.Id, ct) is not { } info) return null;
        details[found.Id] = (found.State, info);
        return info;
    }

    private UserPodInstance Instance(ContainerInfo info, IReadOnlyDictionary<string, string> labels)
    {
        var state = info.State.Running ? UserPodInstanceState.Running
            : info.State.Status == "created" ? UserPodInstanceState.Created : UserPodInstanceState.Exited;
        var declared = UserPodLabels.Read(labels, info.Config.Env ?? []);
        return new UserPodInstance
        {
            PodId = labels[UserPodLabels.Id],
            State = state,
            Fingerprint = UserPodLabels.FingerprintOf(labels),
            Devices = UserPodLabels.DevicesOf(labels),
            Declared = declared,
            Exit = state == UserPodInstanceState.Exited ? DescribeExit(info, declared) : "",
            Ran = state switch
            {
                UserPodInstanceState.Running => Elapsed(info.State.StartedAt, time.GetUtcNow()),
                UserPodInstanceState.Exited => Elapsed(info.State.StartedAt, info.State.FinishedAt),
                _ => null,
            },
            Addresses = state == UserPodInstanceState.Running && declared is not null ? Addresses(info, declared) : [],
        };
    }

    private List<UserPodAddress> Addresses(ContainerInfo info, UserPod declared)
    {
        var ip = info.NetworkSettings.Networks?.GetValueOrDefault(settings.PodNetwork)?.IpAddress;
        var addresses = new List<UserPodAddress>();
        foreach (var port in declared.Spec.OpenPorts)
        {
            var number = port.Number.ToString(CultureInfo.InvariantCulture);
            var bindings = info.NetworkSettings.Ports?.GetValueOrDefault($"{number}/tcp");
            var published = bindings is [{ HostPort: { } text }, ..]
                && int.TryParse(text, CultureInfo.InvariantCulture, out var parsed) ? parsed : (int?)null;
            if (port.IsHttp && settings.Publish)
            {
                if (published is { } own) addresses.Add(new UserPodAddress(port.Number, "127.0.0.1", own));
            }
            else if (ip is { Length: > 0 })
            {
                addresses.Add(new UserPodAddress(port.Number, ip, port.Number, port.IsHttp ? null : published));
            }
        }

        return addresses;
    }

    /// <summary>
    /// Returns the time between two times of the daemon, at least 0: it records the start of a program that exits
    /// immediately after its end.
    /// </summary>
    private static TimeSpan Elapsed(DateTimeOffset from, DateTimeOffset to) => to > from ? to - from : TimeSpan.Zero;

    private static string DescribeExit(ContainerInfo info, UserPod? declared)
    {
        var memory = declared?.Spec.Container.Memory ?? 0;
        return info.State.OomKilled
            ? $"killed: out of memory{(memory > 0 ? $" (container.memory {memory >> 20} MiB)" : "")}"
            : ExitCode.Describe(info.State.ExitCode);
    }

    /// <summary>Creates the container. One of this pod that exists already is used.</summary>
    private async Task<string> CreateAsync(string podId, JsonObject body, CancellationToken ct)
    {
        var name = UserPodContainer.Name(podId);
        try
        {
            return await engine.CreateAsync(name, body, ct);
        }
        catch (EngineException e) when (e.Status == HttpStatusCode.Conflict)
        {
            var existing = await engine.InspectAsync(name, ct);
            if (existing?.Config.Labels?.GetValueOrDefault(UserPodLabels.Id) == podId) return existing.Id;
            throw;
        }
    }

    /// <summary>Returns a time in the format of the Engine API's <c>since</c> parameter.</summary>
    private static string Seconds(DateTimeOffset at)
    {
        var ticks = at.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks;
        return string.Create(CultureInfo.InvariantCulture,
            $"{ticks / TimeSpan.TicksPerSecond}.{ticks % TimeSpan.TicksPerSecond * 100:D9}");
    }

    [LoggerMessage(LogLevel.Information, "Container of pod {Pod} removed")]
    private partial void UserPodContainerRemoved(string pod);
}
