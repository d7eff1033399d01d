using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.UserPods;

/// <summary>The JSON form of pods, in Redis and in requests.</summary>
public static class UserPodJson
{
    public static JsonTypeInfo<UserPodSpec> Spec { get; } = DeclarationJson.GetTypeInfo<UserPodSpec>();

    public static JsonTypeInfo<UserPod> Pod { get; } = DeclarationJson.GetTypeInfo<UserPod>();

    public static JsonTypeInfo<UserPodState> State { get; } = DeclarationJson.GetTypeInfo<UserPodState>();
}
