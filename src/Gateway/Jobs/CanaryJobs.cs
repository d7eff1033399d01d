using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Gives repeated submissions of a job to the same endpoint, so that an Idempotency-Key also holds where an endpoint
/// has canaries.
/// </summary>
public sealed class CanaryJobs(CatalogWatcher catalog, JobStore store)
{
    /// <summary>
    /// Selects the endpoint of a submission with an Idempotency-Key: the one that has a job of this key, or the one
    /// that the key draws. Equal keys draw the same endpoint.
    /// </summary>
    /// <param name="admission">The admission of the request.</param>
    /// <param name="key">The Idempotency-Key.</param>
    /// <param name="ct">Cancels the look-ups.</param>
    public async Task<AuthenticatedRequest> PinAsync(AuthenticatedRequest admission, string key, CancellationToken ct)
    {
        var named = admission.CanaryOf ?? admission.Deployment!;
        var canaries = catalog.Current.CanariesOf(named.Endpoint.Id);
        if (canaries.Count == 0) return admission;
        var drawn = CanaryShare.Select(named, canaries, null, Draw(admission.Flow, key));
        foreach (var other in canaries.Append(named).Where(d => d != drawn))
            if (await store.HasIdempotencyKeyAsync(other.Endpoint.Id, admission.Flow, key, ct))
                return admission.SendTo(other);
        return admission.SendTo(drawn);
    }

    /// <summary>
    /// Selects the endpoint of a job that has a fixed id: the one that has this job, or the one that the id draws.
    /// </summary>
    /// <param name="named">The endpoint that the job names.</param>
    /// <param name="model">The model that the job names.</param>
    /// <param name="flow">The owner of the job.</param>
    /// <param name="job">The id.</param>
    /// <param name="ct">Cancels the look-ups.</param>
    public async Task<Deployment> PinAsync(
        Deployment named, string model, string flow, string job, CancellationToken ct)
    {
        var canaries = catalog.Current.CanariesOf(named.Endpoint.Id);
        if (canaries.Count == 0) return named;
        var drawn = CanaryShare.Select(named, canaries, model, Draw(flow, job));
        foreach (var other in canaries.Append(named).Where(d => d != drawn))
            if (await store.LookAsync(other.Endpoint.Id, job, null, ct, withOutput: false) is not null) return other;
        return drawn;
    }

    /// <summary>Returns a number from 0 to 100 (exclusive) that depends only on the texts.</summary>
    private static double Draw(string flow, string key)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{flow}\n{key}"));
        return 100 * (BinaryPrimitives.ReadUInt32BigEndian(hash) / (uint.MaxValue + 1.0));
    }
}
