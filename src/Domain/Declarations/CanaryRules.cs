namespace Sluice.Domain.Declarations;

/// <summary>Validates the canary policy of an endpoint. Pure.</summary>
internal static class CanaryRules
{
    /// <summary>Adds the errors of the policy.</summary>
    /// <param name="check">Receives the errors.</param>
    /// <param name="endpoint">The endpoint with the policy.</param>
    /// <param name="canary">The policy.</param>
    /// <param name="all">All endpoints that are declared together with it.</param>
    public static void Check(
        EndpointRules.Checker check, Endpoint endpoint, CanaryPolicy canary, IReadOnlyCollection<Endpoint> all)
    {
        check.Range("canary.weight", canary.Weight, 0, 100);
        var others = all.Where(e => e.Id != endpoint.Id).ToList();
        var stable = others.FirstOrDefault(e => e.Id == canary.Of);
        check.That(stable is { Canary: null }, "canary.of", canary.Of, "the id of another endpoint that is no canary");
        if (others.FirstOrDefault(e => e.Canary?.Of == endpoint.Id) is { } own)
            check.Add("canary.of", canary.Of, $"none, because endpoint {own.Id} is a canary of this endpoint");
        if (stable is null) return;

        var missing = stable.ServedModels.Except(endpoint.ServedModels).ToList();
        check.That(missing.Count == 0, "models", string.Join(", ", endpoint.ServedModels),
            $"the models of endpoint {stable.Id}, whose requests it gets: {string.Join(", ", stable.ServedModels)}");
        var given = others.Where(e => e.Canary?.Of == stable.Id).Sum(e => e.Canary!.Weight);
        check.That(canary.Weight + given <= 100 || canary.Weight is < 0 or > 100, "canary.weight", $"{canary.Weight}",
            $"at most {Math.Max(0, 100 - given)}, because other canaries of endpoint {stable.Id} have {given}");
    }

    /// <summary>
    /// Whether two endpoints may serve the same model: one is a canary of the other, or both are canaries of a third.
    /// </summary>
    public static bool ShareModels(Endpoint a, Endpoint b) =>
        a.Canary?.Of == b.Id || b.Canary?.Of == a.Id || (a.Canary is { } canary && canary.Of == b.Canary?.Of);
}
