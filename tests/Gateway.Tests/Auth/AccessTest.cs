using Sluice.Core.Endpoints;
using Sluice.Gateway.Auth;
using Endpoint = Sluice.Core.Endpoints.Endpoint;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests the access decisions as a table.</summary>
public sealed class AccessTest
{
    private static readonly Deployment Private =
        new(new Endpoint { Id = "digits", Template = "t" }, new Template { Name = "t" });
    private static readonly Deployment Public =
        new(new Endpoint { Id = "open", Template = "t", Public = true }, new Template { Name = "t" });
    private static readonly Caller Admin = new("a", "", new KeyScope { Admin = true }, KeyLimits.None);
    private static readonly Caller Everything = new("b", "", new KeyScope { Invoke = ["*"] }, KeyLimits.None);
    private static readonly Caller Digits = new("c", "", new KeyScope { Invoke = ["digits"] }, KeyLimits.None);
    private static readonly Caller Other = new("d", "", new KeyScope { Invoke = ["other"] }, KeyLimits.None);

    public static TheoryData<Demand, string, string, AccessVerdict> Table => new()
    {
        { Demand.Nothing, "none", "", AccessVerdict.Granted },
        { Demand.Nothing, "unknown", "", AccessVerdict.Granted },
        { Demand.AnyKey, "none", "", AccessVerdict.NotAuthenticated },
        { Demand.AnyKey, "other", "", AccessVerdict.Granted },
        { Demand.Admin, "none", "", AccessVerdict.NotAuthenticated },
        { Demand.Admin, "unknown", "", AccessVerdict.NotAuthenticated },
        { Demand.Admin, "everything", "", AccessVerdict.Forbidden },
        { Demand.Admin, "admin", "", AccessVerdict.Granted },
        { Demand.Invoke, "none", "digits", AccessVerdict.NotAuthenticated },
        { Demand.Invoke, "none", "missing", AccessVerdict.NotAuthenticated },
        { Demand.Invoke, "none", "open", AccessVerdict.Granted },
        { Demand.Invoke, "unknown", "open", AccessVerdict.NotAuthenticated },
        { Demand.Invoke, "other", "open", AccessVerdict.Granted },
        { Demand.Invoke, "unknown", "digits", AccessVerdict.NotAuthenticated },
        { Demand.Invoke, "expired", "digits", AccessVerdict.NotAuthenticated },
        { Demand.Invoke, "digits", "digits", AccessVerdict.Granted },
        { Demand.Invoke, "other", "digits", AccessVerdict.Forbidden },
        { Demand.Invoke, "other", "missing", AccessVerdict.Forbidden },
        { Demand.Invoke, "everything", "digits", AccessVerdict.Granted },
        { Demand.Invoke, "everything", "missing", AccessVerdict.NoEndpoint },
        { Demand.Invoke, "admin", "missing", AccessVerdict.NoEndpoint },
        { Demand.Invoke, "unchecked", "digits", AccessVerdict.CannotCheck },
        { Demand.Invoke, "unchecked", "open", AccessVerdict.CannotCheck },
    };

    [Theory]
    [MemberData(nameof(Table))]
    public void The_decision_follows_the_table(Demand demand, string who, string target, AccessVerdict expected)
    {
        var (key, caller) = who switch
        {
            "none" => (KeyVerdict.Missing, null),
            "unknown" => (KeyVerdict.Unknown, null),
            "expired" => (KeyVerdict.Expired, null),
            "unchecked" => (KeyVerdict.CannotCheck, null),
            "admin" => (KeyVerdict.Valid, Admin),
            "everything" => (KeyVerdict.Valid, Everything),
            "digits" => (KeyVerdict.Valid, Digits),
            _ => (KeyVerdict.Valid, Other),
        };
        var deployment = target switch { "digits" => Private, "open" => Public, _ => null };

        var (verdict, detail) = Access.Decide(demand, key, caller, target, deployment);

        Assert.Equal(expected, verdict);
        Assert.Equal(expected == AccessVerdict.Granted, detail.Length == 0);
    }
}
