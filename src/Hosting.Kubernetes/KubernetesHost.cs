using System.Security.Cryptography;
using k8s.Models;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Models.Cache;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// Runs workers as bare Pods of a Kubernetes cluster: the gateway decides which worker ends, which no controller of
/// Kubernetes does. All gateways of an installation see the same pods, which outlive every gateway and end with the
/// ConfigMap that owns them.
/// </summary>
public sealed partial class KubernetesHost : IPodHost
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(0.5);

    /// <summary>Pause between two calls when no caller waits for the result.</summary>
    private static readonly TimeSpan LongRetryPause = TimeSpan.FromSeconds(2);

    private readonly KubernetesSettings settings;
    private readonly ModelStore models;
    private readonly HostId host;
    private readonly TimeProvider time;
    private readonly ILogger<KubernetesHost> logger;
    private readonly KubernetesConnection connection;
    private readonly PodWatch watch;
    private readonly WorkerObjects objects;
    private readonly NodeGpus? nodes;

    public KubernetesHost(
        KubernetesSettings settings,
        ModelStore models,
        HostId host,
        TimeProvider time,
        ILogger<KubernetesHost> logger)
    {
        (this.settings, this.models, this.host, this.time, this.logger) = (settings, models, host, time, logger);
        connection = KubernetesConnection.Create(settings);
        watch = new PodWatch(
            connection.Client, connection.Namespace, $"{PodNames.OwnerLabel}={settings.Owner}", time, logger);
        objects = new WorkerObjects(connection, settings.Owner, watch, time, logger);
        nodes = settings.ReadNodes ? new NodeGpus(connection.Client) : null;
        watch.Start();
    }

    public bool KeepsPods => true;

    public bool IsShared => true;

    public IGpuSource? Gpus => nodes is null ? new NoNodes() : nodes;

    public async Task<RunningPod> StartAsync(PodSpec order, Action<StartProgress> progress, CancellationToken ct)
    {
        var ordered = time.GetTimestamp();
        var stages = new List<StartStage>();
        var (lease, volume) = await DeliverAsync(order.Deployment.Endpoint, progress, ct);
        if (lease is { WasDownloaded: true }) Mark("download");
        var begun = false;
        try
        {
            var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
            var body = PodManifest.Build(order, settings, host.Value, await objects.FindOwnerAsync(ct), volume);
            begun = true;
            var pod = await objects.CreateAsync(order, body, ct);
            var watched = watch.Offer(pod);
            var secret = PodManifest.BuildSecret(order, settings, token, pod.Metadata.Uid, volume);
            // The pod of an order whose answer was lost may have its Secret already.
            token = await objects.CreateSecretAsync(secret, token, ct);
            Mark("create");
            var observed = await WaitUntilRunningAsync(order, watched, pod.Metadata.Uid, progress, stages, ct);
            return CreatePod(order, pod.Metadata.Uid, watched, observed, token, ordered, stages, lease);
        }
        catch (Exception e)
        {
            lease?.Dispose();
            // The server may have created the pod without confirming it; the next adoption finds such a pod.
            if (begun) await objects.TryDeleteAsync(order.PodId, uid: null, graceSeconds: 1);
            // The client reports a call without an answer as cancelled.
            if (e is InvalidOperationException || ct.IsCancellationRequested) throw;
            throw new InvalidOperationException(
                $"Kubernetes refused the pod in namespace {connection.Namespace}: {KubernetesErrors.Describe(e)}", e);
        }

        void Mark(string stage) => stages.Add(new StartStage(stage,
            Math.Round(time.GetElapsedTime(ordered).TotalMilliseconds - stages.Sum(s => s.Ms), 1)));
    }

    public async Task StopAsync(RunningPod pod)
    {
        var own = (KubernetesPod)pod;
        own.IsEnding = true;
        var grace = pod.Deployment.Template.StopGrace;
        // The kubelet measures the grace period, and kills the pod after it. More time means that the server or the
        // node is unavailable.
        var patience = Task.Delay(grace + WorkerObjects.ServerBackWithin, time);
        var accepted = await DeleteUntilAsync(own, PodParts.Seconds(grace), patience);
        await Task.WhenAny(pod.Exited, patience);
        if (!accepted || !pod.Exited.IsCompleted) own.StopWatching(Silent(patience.IsCompleted && accepted));
        await pod.Exited;
    }

    public async Task KillAsync(RunningPod pod)
    {
        var own = (KubernetesPod)pod;
        own.IsEnding = true;
        // A grace period of 0 would delete the object although the pod may still run.
        var patience = Task.Delay(WorkerObjects.ServerBackWithin, time);
        if (!await DeleteUntilAsync(own, 1, patience)) own.StopWatching(Silent(node: false));
    }

    public async Task ForgetAsync(RunningPod pod, CancellationToken ct = default)
    {
        var own = (KubernetesPod)pod;
        var removed = await objects.TryDeleteAsync(pod.Order.PodId, own.Uid, graceSeconds: 1);
        // What is left of a pod that has exited is removed by the next search.
        while (pod.Unsure && !ct.IsCancellationRequested && (!removed || Exists(own)))
        {
            await Task.WhenAny(Task.Delay(LongRetryPause, time, ct));
            removed = await objects.TryDeleteAsync(pod.Order.PodId, own.Uid, graceSeconds: 1, log: false);
        }

        pod.Model?.Dispose();
        pod.Dispose();
    }

    public async Task<bool> IsRunningAsync(string podId, CancellationToken ct)
    {
        await watch.Synced.WaitAsync(ct);
        if (watch.Error is { } error) throw new InvalidOperationException(error);
        return watch.Pods.FirstOrDefault(p => p.Metadata.Name == PodNames.Of(podId)) is { } pod
            && PodReader.Read(pod).Progress != PodProgress.Ended;
    }

    public async Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<FoundPod, bool> isManaged, CancellationToken ct)
    {
        await watch.Synced.WaitAsync(ct);
        if (watch.Error is { } error) throw new InvalidOperationException(error);
        var adopted = new List<RunningPod>();
        foreach (var pod in watch.Pods.ToList())
        {
            var order = PodAnnotations.Read(pod.Metadata.Annotations);
            var podId = order?.PodId ?? pod.Metadata.Name[PodNames.Of("").Length..];
            var orderedBy = pod.Metadata.Labels?.TryGetValue(PodNames.HostLabel, out var label) == true ? label : "";
            if (isManaged(new FoundPod(podId, orderedBy, CreatedAt(pod)))) continue;
            if (pod.Metadata.DeletionTimestamp is not null) continue;
            var observed = PodReader.Read(pod);
            if (order is not null && observed is { Progress: PodProgress.Running, Address: not null }
                && await objects.ReadTokenAsync(order.PodId, ct) is { } token)
            {
                adopted.Add(CreatePod(order, pod.Metadata.Uid, watch.Follow(pod.Metadata.Name), observed, token,
                    time.GetTimestamp(), [], TryHold(order.Deployment.Endpoint), adopted: true));
                continue;
            }

            LeftoverPodRemoved(pod.Metadata.Name, observed.Progress.ToString(), observed.Reason);
            await objects.TryDeleteAsync(podId, pod.Metadata.Uid, graceSeconds: 1);
        }

        return adopted;
    }

    public void Dispose()
    {
        watch.Dispose();
        connection.Dispose();
    }

    private async Task<ObservedPod> WaitUntilRunningAsync(
        PodSpec order,
        WatchedPod watched,
        string uid,
        Action<StartProgress> progress,
        List<StartStage> stages,
        CancellationToken ct)
    {
        var start = new StartWait(settings.ScheduleTimeout, time.GetTimestamp());
        var reported = "";
        while (true)
        {
            var (latest, deleted, changed) = watched.Current;
            if (deleted || latest?.Metadata.Uid != uid)
                throw new InvalidOperationException("the pod was deleted while it was starting");
            var observed = PodReader.Read(latest);
            var fit = observed.Progress == PodProgress.Unscheduled && nodes is not null
                ? await nodes.DescribeMisfitAsync(latest, ct) : null;
            var decision = start.Decide(observed, fit, time.GetElapsedTime(start.Begun));
            if (decision.Failure is { } failure) throw new InvalidOperationException(failure);
            if (observed.Progress is PodProgress.Ended
                || observed is { Progress: PodProgress.Running, Address: not null })
            {
                stages.AddRange(start.Stages(time.GetElapsedTime(start.Begun)));
                return observed;
            }

            if (observed.Reason != reported && observed.Reason.Length > 0)
                progress(new StartProgress(reported = observed.Reason));
            await Task.WhenAny(changed, Task.Delay(decision.CheckAfter, time, ct));
            ct.ThrowIfCancellationRequested();
        }
    }

    private KubernetesPod CreatePod(
        PodSpec order,
        string uid,
        WatchedPod watched,
        ObservedPod observed,
        string token,
        long ordered,
        IReadOnlyList<StartStage> stages,
        ModelLease? model,
        bool adopted = false)
    {
        var template = order.Deployment.Template;
        // A pod that has exited may have no address. Nothing listens on port 9 ("discard"), and its exit is reported
        // shortly after.
        var uri = observed.Address is { } ip
            ? new UriBuilder(Uri.UriSchemeHttp, ip, template.Container.Port).Uri : new Uri("http://127.0.0.1:9");
        var address = new WorkerAddress(order.PodId, new Uri(uri.GetLeftPart(UriPartial.Authority)), template.Protocol,
            token, template.Concurrency);
        var start = new KubernetesPodStart(
            order, uid, watched, address, ordered, time.GetTimestamp(), stages, adopted);
        var log = new PodLog(connection.Client, connection.Namespace, PodNames.Of(order.PodId), time);
        return new KubernetesPod(start, log, time, line => PodOutput(order.PodId, line)) { Model = model };
    }

    /// <summary>Delivers the model of an endpoint to the claim of the store, and returns how a pod sees it.</summary>
    private async Task<(ModelLease? Lease, ModelVolume? Volume)> DeliverAsync(
        Endpoint endpoint, Action<StartProgress> progress, CancellationToken ct)
    {
        if (endpoint.Model is not { } model) return (null, null);
        if (ModelSource.Parse(model.Source) is { Kind: ModelSourceKind.Folder } source)
            throw new InvalidOperationException($"model.source of endpoint {endpoint.Id} is '{source.Location}'; "
                + "expected an address or an uploaded model, because a folder of the gateway is not on the nodes");
        var lease = await models.AcquireAsync(model, endpoint.ServedModels[0], progress, ct);
        var claim = lease.Root == models.Folder ? settings.ModelStore : settings.ModelUploads;
        if (claim is not null) return (lease, ModelVolume.Of(lease, claim));
        var (variable, folder) = lease.Root == models.Folder
            ? ("SLUICE_KUBERNETES_MODEL_STORE", "SLUICE_MODEL_STORE")
            : ("SLUICE_KUBERNETES_MODEL_UPLOADS", "SLUICE_MODEL_UPLOADS");
        lease.Dispose();
        throw new InvalidOperationException($"{variable} is not set; expected the PersistentVolumeClaim that the "
            + $"gateway mounts at {folder}, because endpoint {endpoint.Id} has a model.source");
    }

    /// <summary>Holds the model of an adopted pod, so that it is not deleted while the pod runs.</summary>
    private ModelLease? TryHold(Endpoint endpoint) => endpoint.Model is { } model
        ? models.TryHold(model, endpoint.ServedModels[0]) : null;

    /// <summary>Deletes a pod, and retries until the server accepts it, it has exited, or the time is over.</summary>
    private async Task<bool> DeleteUntilAsync(KubernetesPod pod, long graceSeconds, Task enough)
    {
        while (!pod.Exited.IsCompleted)
        {
            if (await objects.TryDeleteAsync(pod.Order.PodId, pod.Uid, graceSeconds, log: false)) return true;
            if (enough.IsCompleted) return false;
            await Task.WhenAny(pod.Exited, Task.Delay(RetryPause, time));
        }

        return true;
    }

    private static DateTimeOffset? CreatedAt(V1Pod pod) => pod.Metadata.CreationTimestamp is { } at
        ? new DateTimeOffset(DateTime.SpecifyKind(at, DateTimeKind.Utc)) : null;

    private bool Exists(KubernetesPod pod) =>
        watch.Error is not null || watch.Pods.Any(p => p.Metadata.Uid == pod.Uid);

    private static string Silent(bool node) => node
        ? "unknown: its node did not confirm the end of the pod"
        : $"unknown: the API server did not respond for {WorkerObjects.ServerBackWithin.TotalSeconds:0} s";

    [LoggerMessage(LogLevel.Debug, "Output of worker {Pod}: {Line}")]
    private partial void PodOutput(string pod, string line);

    [LoggerMessage(LogLevel.Information, "Leftover pod {Pod} removed ({State}): {Reason}")]
    private partial void LeftoverPodRemoved(string pod, string state, string reason);
}
