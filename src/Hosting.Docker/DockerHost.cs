using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Models.Cache;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Runs pods as containers of a Docker daemon, through its Engine API. Containers outlive the gateway, and the daemon
/// too if it sets <c>live-restore</c>. Their labels identify them after a restart.
/// </summary>
public sealed partial class DockerHost : IPodHost
{
    /// <summary>
    /// How long a start, a stop and a kill wait for the daemon. A restarted daemon is back within seconds.
    /// </summary>
    private static readonly TimeSpan DaemonBackWithin = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(0.2);

    /// <summary>Pause between two calls when no caller waits for the result.</summary>
    private static readonly TimeSpan LongRetryPause = TimeSpan.FromSeconds(2);

    private readonly DockerSettings settings;
    private readonly ModelStore models;
    private readonly HostId host;
    private readonly TimeProvider time;
    private readonly ILogger<DockerHost> logger;
    private readonly EngineClient engine;
    private readonly ImageStore images;

    public DockerHost(
        DockerSettings settings, ModelStore models, HostId host, TimeProvider time, ILogger<DockerHost> logger)
    {
        this.settings = settings;
        this.models = models;
        this.host = host;
        this.time = time;
        this.logger = logger;
        engine = new EngineClient(settings.Daemon, time);
        images = new ImageStore(engine, settings.RegistryConfig, time);
    }

    public bool KeepsPods => settings.KeepPods;

    public async Task<RunningPod> StartAsync(PodSpec order, Action<StartProgress> progress, CancellationToken ct)
    {
        var ordered = time.GetTimestamp();
        var stages = new List<StartStage>();
        var (lease, mount) = await DeliverAsync(order.Deployment.Endpoint, progress, ct);
        if (lease is { WasDownloaded: true }) Mark("download");
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var image = ContainerSpec.Image(order, settings);
        var begun = false;
        try
        {
            var body = ContainerSpec.Build(order, settings, host.Value, token, mount);
            var needs = order.Deployment.Template.Container;
            var pulled = await RetryWhileDownAsync(() => images.EnsureAsync(image, needs.Pull, Pulling, ct), ct);
            if (pulled) Mark("pull");
            if (needs.ReadOnly)
            {
                var volumes = await RetryWhileDownAsync(() => engine.ImageVolumesAsync(image, ct), ct);
                ContainerSpec.MountTmpfsAtVolumes(body, volumes, needs.TmpSize);
            }
            begun = true;
            var container = await RetryWhileDownAsync(() => CreateAsync(order.PodId, body, ct), ct);
            Mark("create");
            await RetryWhileDownAsync(async () =>
            {
                await engine.StartAsync(container, ct);
                return container;
            }, ct);
            Mark("start");
            var info = await RetryWhileDownAsync(() => engine.InspectAsync(container, ct), ct)
                ?? throw new InvalidOperationException("the container was removed while the pod was starting");
            return CreatePod(order, info, ordered, stages, adopted: false, lease);
        }
        catch (Exception e) when (e is OperationCanceledException or InvalidOperationException)
        {
            lease?.Dispose();
            // The daemon may have created the container without confirming it; the next adoption finds such a
            // container.
            if (begun) await TryRemoveAsync(ContainerSpec.Name(order.PodId));
            if (e is OperationCanceledException) throw;
            throw new InvalidOperationException(StartFailure.Explain(e.Message, image, settings), e);
        }

        void Pulling(string text) => progress(new StartProgress(text));

        void Mark(string stage) => stages.Add(new StartStage(stage,
            Math.Round(time.GetElapsedTime(ordered).TotalMilliseconds - stages.Sum(s => s.Ms), 1)));
    }

    public async Task StopAsync(RunningPod pod)
    {
        var container = (ContainerPod)pod;
        // The grace period is measured here, because the daemon's own stop call ends when the daemon does.
        var grace = Task.Delay(pod.Deployment.Template.StopGrace, time);
        await SignalAsync(container, "SIGTERM", grace);
        if (await Task.WhenAny(pod.Exited, grace) == grace) await KillAsync(pod);
        await pod.Exited;
    }

    public async Task KillAsync(RunningPod pod)
    {
        var container = (ContainerPod)pod;
        var patience = Task.Delay(DaemonBackWithin, time);
        if (!await SignalAsync(container, "SIGKILL", patience))
            container.StopWatching(
                $"unknown: the Docker daemon did not respond for {DaemonBackWithin.TotalSeconds:0} s");
    }

    public async Task ForgetAsync(RunningPod pod, CancellationToken ct = default)
    {
        var container = ((ContainerPod)pod).Container;
        var removed = await TryRemoveAsync(container);
        while (!removed && pod.Unsure && !ct.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(LongRetryPause, time, ct));
            removed = await TryRemoveAsync(container, log: false);
        }

        pod.Model?.Dispose();
        pod.Dispose();
    }

    public async Task<bool> IsRunningAsync(string podId, CancellationToken ct) =>
        await engine.InspectAsync(ContainerSpec.Name(podId), ct) is { State.Running: true };

    public async Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<FoundPod, bool> isManaged, CancellationToken ct)
    {
        var adopted = new List<RunningPod>();
        foreach (var found in await engine.ListAsync(PodLabels.Host, host.Value, ct))
        {
            var podId = found.Labels?.GetValueOrDefault(PodLabels.Pod) ?? "";
            if (isManaged(new FoundPod(podId, host.Value))) continue;
            if (await AdoptAsync(found, ct) is { } pod) adopted.Add(pod);
            else await ReapAsync(found.Id, podId, found.State, ct);
        }

        return adopted;
    }

    public void Dispose() => engine.Dispose();

    /// <summary>Returns null if the container does not run or its labels cannot be read.</summary>
    private async Task<ContainerPod?> AdoptAsync(ContainerSummary found, CancellationToken ct)
    {
        if (found.State is not ("running" or "paused")) return null;
        if (PodLabels.Read(found.Labels) is not { } order) return null;
        // The container may have exited and been removed since it was listed.
        if (await engine.InspectAsync(found.Id, ct) is not { State.Running: true } info) return null;
        // The image name refers to another image after an upgrade. The pod keeps serving, and is replaced like a pod of
        // an older declaration.
        var image = await engine.ImageIdAsync(ContainerSpec.Image(order, settings), ct);
        if (image is not null && image != info.Image) order = order with { Fingerprint = "another image" };
        return CreatePod(order, info, time.GetTimestamp(), [], adopted: true, TryHold(order.Deployment.Endpoint));
    }

    private async Task ReapAsync(string container, string podId, string state, CancellationToken ct)
    {
        await engine.RemoveAsync(container, ct);
        LeftoverContainerRemoved(podId, container[..12], state);
    }

    private ContainerPod CreatePod(
        PodSpec order,
        ContainerInfo info,
        long ordered,
        IReadOnlyList<StartStage> stages,
        bool adopted,
        ModelLease? model)
    {
        // The token that the container was created with. If it is wrong, the worker rejects it, and
        // the readiness probe reports that.
        const string variable = "SLUICE_POD_TOKEN=";
        var entry = info.Config.Env?.FirstOrDefault(e => e.StartsWith(variable, StringComparison.Ordinal));
        var token = entry?[variable.Length..] ?? "";
        var template = order.Deployment.Template;
        var uri = Address(info, template.Container.Port);
        var address = new WorkerAddress(order.PodId, uri, template.Protocol, token, template.Concurrency);
        var start = new ContainerStart(order, info.Id, address, ordered, time.GetTimestamp(), stages, adopted);
        return new ContainerPod(engine, start, time, line => PodOutput(order.PodId, line)) { Model = model };
    }

    /// <summary>Delivers the model of an endpoint to this machine, and returns how a container sees it.</summary>
    private async Task<(ModelLease? Lease, ModelMount? Mount)> DeliverAsync(
        Endpoint endpoint, Action<StartProgress> progress, CancellationToken ct)
    {
        if (endpoint.Model is not { } model) return (null, null);
        // The folder is one of the daemon's machine, which may be another one.
        if (ModelMount.OfFolder(endpoint, settings) is { } folder) return (null, folder);
        var lease = await models.AcquireAsync(model, endpoint.ServedModels[0], progress, ct);
        var seen = lease.Root == models.Folder ? settings.ModelStore : settings.ModelUploads;
        return (lease, ModelMount.Of(lease, seen.Length > 0 ? seen : lease.Root));
    }

    /// <summary>Holds the model of an adopted pod, so that it is not deleted while the pod runs.</summary>
    private ModelLease? TryHold(Endpoint endpoint) => endpoint.Model is { } model
        ? models.TryHold(model, endpoint.ServedModels[0]) : null;

    private Uri Address(ContainerInfo info, int port)
    {
        if (settings.WorkerAddress is { } address)
        {
            var ports = info.NetworkSettings.Ports?.GetValueOrDefault($"{port}/tcp");
            var published = ports is [var first, ..] ? first.HostPort : null;
            return NodeAddress.UriOf(IPAddress.Parse(address),
                int.Parse(published ?? "9", CultureInfo.InvariantCulture));
        }

        var ip = info.NetworkSettings.Networks?.GetValueOrDefault(settings.Network)?.IpAddress;
        // A container that has exited has no address. Nothing listens on port 9 ("discard"), and its exit is reported
        // shortly after.
        return ip is { Length: > 0 }
            ? new Uri($"http://{ip}:{port.ToString(CultureInfo.InvariantCulture)}")
            : new Uri("http://127.0.0.1:9");
    }

    /// <summary>
    /// Creates the container. If one of this order exists already, because a response was lost, it is used.
    /// </summary>
    private async Task<string> CreateAsync(string podId, JsonObject body, CancellationToken ct)
    {
        var name = ContainerSpec.Name(podId);
        try
        {
            return await engine.CreateAsync(name, body, ct);
        }
        catch (EngineException e) when (e.Status == HttpStatusCode.Conflict)
        {
            var existing = await engine.InspectAsync(name, ct);
            if (existing?.Config.Labels?.GetValueOrDefault(PodLabels.Pod) == podId) return existing.Id;
            throw;
        }
    }

    /// <summary>
    /// Retries a call while the daemon is unavailable. Every call that is made through it is idempotent.
    /// </summary>
    private async Task<T> RetryWhileDownAsync<T>(Func<Task<T>> call, CancellationToken ct)
    {
        var patience = Task.Delay(DaemonBackWithin, time, ct);
        while (true)
        {
            try
            {
                return await call();
            }
            catch (EngineException e) when (e.IsDown && !patience.IsCompleted)
            {
                await Task.Delay(RetryPause, time, ct);
            }
        }
    }

    /// <summary>
    /// Sends a signal, and retries while the daemon is unavailable, until <paramref name="enough"/> completes.
    /// </summary>
    /// <returns>False if the daemon did not accept the signal.</returns>
    private async Task<bool> SignalAsync(ContainerPod pod, string signal, Task enough)
    {
        while (!pod.Exited.IsCompleted)
        {
            try
            {
                await engine.SignalAsync(pod.Container, signal, CancellationToken.None);
                return true;
            }
            catch (EngineException e)
            {
                if (!e.IsDown) ContainerSignalFailed(pod.Container[..12], signal, e.Message);
                if (enough.IsCompleted) return false;
                await Task.WhenAny(pod.Exited, Task.Delay(RetryPause, time));
            }
        }

        return true;
    }

    private async Task<bool> TryRemoveAsync(string container, bool log = true)
    {
        try
        {
            await engine.RemoveAsync(container, CancellationToken.None);
            return true;
        }
        catch (EngineException e)
        {
            if (log) ContainerRemovalFailed(container, e.Message);
            return false;
        }
    }

    [LoggerMessage(LogLevel.Debug, "Output of worker {Pod}: {Line}")]
    private partial void PodOutput(string pod, string line);

    [LoggerMessage(LogLevel.Information, "Leftover container {Container} of worker {Worker} removed ({State})")]
    private partial void LeftoverContainerRemoved(string worker, string container, string state);

    [LoggerMessage(LogLevel.Warning,
        "Container {Container} could not be removed; the next search of this host retries it: {Error}")]
    private partial void ContainerRemovalFailed(string container, string error);

    [LoggerMessage(LogLevel.Warning, "Signal {Signal} could not be sent to container {Container}: {Error}")]
    private partial void ContainerSignalFailed(string container, string signal, string error);
}
