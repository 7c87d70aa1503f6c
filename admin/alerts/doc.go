// Package alerts decides what an operator is told before users notice it, and
// brings it there (domain, section 8).
//
// [Evaluate] is pure: it takes thresholds, measures, the time and the state from
// before, and returns the state from now on and what is newly met. Whoever calls
// it keeps the state and the resulting [Message], both in one durable step, and
// gives the message to [Mail.Send] and [Webhook.Send] until they succeed.
// Delivery is at least once: who dies between sending and noting it sends again,
// under the same message id.
package alerts
